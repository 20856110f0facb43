// WebP: a RIFF container; VP8 (lossy), VP8L (lossless) or VP8X (a canvas, and chunks behind it) comes first.
#include "sharding/images/exif_orientation.h"
#include "sharding/images/format_headers.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr std::size_t kFirstChunk = 12, kContent = 20;

int find_orientation(const ByteFields& file) {
  for (std::size_t at = kFirstChunk; file.has(at, 8);) {
    const std::size_t length = file.little(at + 4, 4);
    if (!file.has(at + 8, length)) return 1;
    if (file.text(at, 4) == "EXIF") {
      const std::string_view content = file.text(at + 8, length), old("Exif\0\0", 6);
      return exif_orientation(content.starts_with(old) ? content.substr(old.size()) : content);
    }
    at += 8 + length + length % 2;
  }
  return 1;
}

void read_lossy(const ByteFields& file, ImageHeader& header) {
  if (file.text(kContent + 3, 3) != "\x9D\x01\x2A") throw InputError("a WebP whose VP8 frame has no start code");
  header.width = file.little(kContent + 6, 2) & 0x3FFF;
  header.height = file.little(kContent + 8, 2) & 0x3FFF;
}

void read_lossless(const ByteFields& file, ImageHeader& header) {
  if (file.byte(kContent) != 0x2F) throw InputError("a WebP whose VP8L frame has no signature");
  const std::uint32_t bits = file.little(kContent + 1, 4);
  header.width = (bits & 0x3FFF) + 1, header.height = (bits >> 14 & 0x3FFF) + 1;
}

}  // namespace

ImageHeader read_webp_header(const ByteFields& file) {
  ImageHeader header{.kind = ImageKind::webp};
  const std::string_view chunk = file.text(kFirstChunk, 4);
  if (chunk == "VP8 ") {
    read_lossy(file, header);
  } else if (chunk == "VP8L") {
    read_lossless(file, header);
  } else if (chunk == "VP8X") {
    header.width = file.little(kContent + 4, 3) + std::int64_t{1};
    header.height = file.little(kContent + 7, 3) + std::int64_t{1};
    header.orientation = find_orientation(file);
  } else {
    throw InputError("a WebP without VP8, VP8L or VP8X at its beginning");
  }
  return header;
}

}  // namespace proctor
