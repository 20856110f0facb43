// GIF by giflib: the first frame, on its screen as Pillow lays it.
#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "sharding/protocol/error.h"
#include "worker/images/decoders.h"

namespace proctor {
namespace {

constexpr int kGraphicControl = 0xF9;

int read_bytes(GifFileType* gif, GifByteType* to, int count) {
  auto& rest = *static_cast<std::string_view*>(gif->UserData);
  const std::size_t given = std::min(rest.size(), static_cast<std::size_t>(count));
  if (given > 0) std::memcpy(to, rest.data(), given);
  rest.remove_prefix(given);
  return static_cast<int>(given);
}

[[noreturn]] void refuse(int error) {
  const char* words = GifErrorString(error);
  throw InputError(std::string("a broken or truncated GIF (") + (words ? words : "no reason given") + ")");
}

void check(int result, const GifFileType& gif) {
  if (result == GIF_ERROR) refuse(gif.Error);
}

struct CloseGif {
  void operator()(GifFileType* gif) const {
    int error = 0;
    DGifCloseFile(gif, &error);
  }
};

/// Up to the first frame's descriptor. The color that is not drawn, where a frame has one.
std::optional<std::uint8_t> read_to_frame(GifFileType& gif) {
  std::optional<std::uint8_t> transparent;
  for (GifRecordType type = UNDEFINED_RECORD_TYPE;;) {
    check(DGifGetRecordType(&gif, &type), gif);
    if (type == IMAGE_DESC_RECORD_TYPE) return transparent;
    if (type != EXTENSION_RECORD_TYPE) throw InputError("a GIF without a frame");
    int code = 0;
    GifByteType* block = nullptr;  // its first byte is its length
    check(DGifGetExtension(&gif, &code, &block), gif);
    if (code == kGraphicControl && block && block[0] >= 4)
      transparent = block[1] & 1 ? std::optional(block[4]) : std::nullopt;
    while (block) check(DGifGetExtensionNext(&gif, &block), gif);
  }
}

using Palette = std::array<std::array<std::uint8_t, 3>, 256>;

/// A GIF without one is gray.
Palette palette_of(const GifFileType& gif) {
  const ColorMapObject* map = gif.Image.ColorMap ? gif.Image.ColorMap : gif.SColorMap;
  Palette palette{};
  for (int i = 0; i < 256; ++i)
    if (!map)
      palette[i].fill(static_cast<std::uint8_t>(i));
    else if (i < map->ColorCount)
      palette[i] = {map->Colors[i].Red, map->Colors[i].Green, map->Colors[i].Blue};
  return palette;
}

/// Of an interlaced frame's lines: every eighth, the ones between, every fourth, every second.
std::vector<std::int64_t> line_order(const GifImageDesc& frame) {
  std::vector<std::int64_t> order;
  const std::array<std::array<int, 2>, 4> passes = {{{0, 8}, {4, 8}, {2, 4}, {1, 2}}};
  for (const auto& [first, step] : passes)
    for (int y = first; frame.Interlace && y < frame.Height; y += step) order.push_back(y);
  for (int y = 0; !frame.Interlace && y < frame.Height; ++y) order.push_back(y);
  return order;
}

void draw(GifFileType& gif, const Palette& palette, Picture& picture) {
  const GifImageDesc& frame = gif.Image;
  std::vector<GifPixelType> line(static_cast<std::size_t>(frame.Width));
  for (const std::int64_t y : line_order(frame)) {
    check(DGifGetLine(&gif, line.data(), frame.Width), gif);
    std::uint8_t* to = picture.row(frame.Top + y) + std::ptrdiff_t{3} * frame.Left;
    for (const GifPixelType index : line) to = std::copy_n(palette[index].data(), 3, to);
  }
}

}  // namespace

Picture decode_gif(std::string_view bytes, const ImageHeader& header) {
  int error = 0;
  const std::unique_ptr<GifFileType, CloseGif> gif(DGifOpen(&bytes, read_bytes, &error));
  if (!gif) refuse(error);
  const std::optional<std::uint8_t> transparent = read_to_frame(*gif);
  check(DGifGetImageDesc(gif.get()), *gif);
  const GifImageDesc& frame = gif->Image;
  if (frame.Left + frame.Width > header.width || frame.Top + frame.Height > header.height)
    throw InputError("a broken GIF (its first frame exceeds the screen)");
  const Palette palette = palette_of(*gif);
  Picture picture(header.height, header.width);
  const auto& background = palette[transparent.value_or(0)];
  for (std::size_t i = 0; i < picture.rgb.size(); ++i) picture.rgb[i] = background[i % 3];
  draw(*gif, palette, picture);
  return picture;
}

}  // namespace proctor
