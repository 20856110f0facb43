// BMP, uncompressed, of 1, 4, 8, 16, 24 and 32 bits, as Pillow's BmpImagePlugin.py reads it.
#include <array>
#include <bit>
#include <string>

#include "sharding/images/byte_fields.h"
#include "sharding/protocol/error.h"
#include "worker/images/decoders.h"

namespace proctor {
namespace {

constexpr std::size_t kFileHeader = 14;
constexpr std::uint32_t kRaw = 0, kRle8 = 1, kRle4 = 2, kBitFields = 3;

struct BmpLayout {
  std::uint32_t bits = 24, colors = 0;
  std::array<std::uint32_t, 3> masks{};  // red, green, blue; of 16 and 32 bits
  std::size_t palette = 0, color_bytes = 4, pixels = 0, row_bytes = 0;
  bool from_top = false;
};

[[noreturn]] void refuse(const std::string& what) { throw InputError("a BMP " + what); }

/// Where the masks are: behind the first 40 bytes, inside a longer header or after it.
void read_masks(const ByteFields& file, BmpLayout& layout) {
  for (std::size_t i = 0; i < 3; ++i) layout.masks[i] = file.little(kFileHeader + 40 + 4 * i, 4);
  for (const std::uint32_t mask : layout.masks) {
    const std::uint32_t run = mask >> (mask ? std::countr_zero(mask) : 0);
    if (run != 31 && run != 63 && run != 255) refuse("of channels other than 5, 6 or 8 bits wide");
  }
}

void choose_masks(const ByteFields& file, std::uint32_t compression, BmpLayout& layout) {
  if (compression == kBitFields)
    read_masks(file, layout);
  else if (layout.bits == 16)
    layout.masks = {0x7C00, 0x03E0, 0x001F};
  else
    layout.masks = {0xFF0000, 0x00FF00, 0x0000FF};
}

BmpLayout read_layout(const ByteFields& file, std::int64_t width) {
  BmpLayout layout{.pixels = file.little(10, 4)};
  const std::uint32_t header = file.little(kFileHeader, 4);
  layout.palette = kFileHeader + header;
  std::uint32_t compression = kRaw;
  if (header == 12) {
    layout.bits = file.little(24, 2), layout.color_bytes = 3;
  } else {
    layout.bits = file.little(28, 2), compression = file.little(30, 4), layout.colors = file.little(46, 4);
    layout.from_top = file.byte(25) == 0xFF;
  }
  const bool is_known = layout.bits == 1 || layout.bits == 4 || layout.bits == 8 || layout.bits == 16 ||
                        layout.bits == 24 || layout.bits == 32;
  if (!is_known) refuse("of " + std::to_string(layout.bits) + " bits a pixel");
  if (compression == kRle8 || compression == kRle4) refuse("compressed by run lengths, which is not read");
  if (compression != kRaw && compression != kBitFields)
    refuse("of the unknown compression " + std::to_string(compression));
  choose_masks(file, compression, layout);
  if (layout.colors == 0 && layout.bits <= 8) layout.colors = 1U << layout.bits;
  layout.row_bytes = (static_cast<std::size_t>(width) * layout.bits + 31) / 32 * 4;
  return layout;
}

using Palette = std::array<std::array<std::uint8_t, 3>, 256>;

Palette read_palette(const ByteFields& file, const BmpLayout& layout) {
  Palette palette{};
  for (std::size_t i = 0; i < std::min<std::size_t>(layout.colors, 256); ++i) {
    const std::size_t at = layout.palette + i * layout.color_bytes;
    palette[i] = {file.byte(at + 2), file.byte(at + 1), file.byte(at)};
  }
  return palette;
}

void draw_indices(std::string_view row, const BmpLayout& layout, const Palette& palette, std::uint8_t* to,
                  std::int64_t width) {
  const std::size_t in_a_byte = 8 / layout.bits;
  for (std::size_t x = 0; x < static_cast<std::size_t>(width); ++x) {
    const std::size_t shift = (in_a_byte - 1 - x % in_a_byte) * layout.bits;
    const auto byte = static_cast<std::uint8_t>(row[x / in_a_byte]);
    const auto& color = palette[byte >> shift & ((1U << layout.bits) - 1)];
    to = std::copy(color.begin(), color.end(), to);
  }
}

void draw_channels(std::string_view row, const BmpLayout& layout, std::uint8_t* to, std::int64_t width) {
  const ByteFields fields(row);
  const std::size_t bytes = layout.bits / 8;
  for (std::size_t x = 0; x < static_cast<std::size_t>(width); ++x) {
    const std::uint32_t pixel = fields.little(x * bytes, bytes);
    for (const std::uint32_t mask : layout.masks) {
      const int shift = std::countr_zero(mask);
      *to++ = static_cast<std::uint8_t>(((pixel & mask) >> shift) * 255 / (mask >> shift));
    }
  }
}

}  // namespace

Picture decode_bmp(std::string_view bytes, const ImageHeader& header) {
  const ByteFields file(bytes);
  const BmpLayout layout = read_layout(file, header.width);
  const Palette palette = layout.bits <= 8 ? read_palette(file, layout) : Palette{};
  const std::size_t used = (static_cast<std::size_t>(header.width) * layout.bits + 7) / 8;
  file.text(layout.pixels, static_cast<std::size_t>(header.height - 1) * layout.row_bytes + used);
  Picture picture(header.height, header.width);
  for (std::int64_t y = 0; y < header.height; ++y) {
    const std::int64_t stored = layout.from_top ? y : header.height - 1 - y;
    const std::string_view row = file.text(layout.pixels + static_cast<std::size_t>(stored) * layout.row_bytes, used);
    if (layout.bits <= 8)
      draw_indices(row, layout, palette, picture.row(y), header.width);
    else
      draw_channels(row, layout, picture.row(y), header.width);
  }
  return picture;
}

}  // namespace proctor
