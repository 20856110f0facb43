// GIF: a screen, then blocks. Pillow enlarges the screen to hold the first frame.
#include <algorithm>

#include "sharding/images/format_headers.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr std::size_t kScreenEnd = 13;
constexpr std::uint8_t kImage = 0x2C, kExtension = 0x21;

std::size_t color_table_bytes(std::uint8_t flags) { return flags & 0x80 ? std::size_t{3} << ((flags & 7) + 1) : 0; }

/// Where the first frame's descriptor stands.
std::size_t find_frame(const ByteFields& file) {
  std::size_t at = kScreenEnd + color_table_bytes(file.byte(10));
  while (file.byte(at) == kExtension) {
    at += 2;
    while (const std::size_t length = file.byte(at)) at += 1 + length;
    ++at;
  }
  if (file.byte(at) != kImage) throw InputError("a GIF without a frame");
  return at;
}

}  // namespace

ImageHeader read_gif_header(const ByteFields& file) {
  const std::size_t frame = find_frame(file);
  const auto number = [&](std::size_t at) { return static_cast<std::int64_t>(file.little(at, 2)); };
  ImageHeader header{.kind = ImageKind::gif};
  header.width = std::max(number(6), number(frame + 1) + number(frame + 5));
  header.height = std::max(number(8), number(frame + 3) + number(frame + 7));
  return header;
}

}  // namespace proctor
