// What the first bytes of an image file say: which kind it is and how large. No pixel is decoded. Pure; bytes are not
// to be trusted.
#pragma once

#include <cstdint>
#include <string_view>

namespace proctor {

/// Pillow's: beyond this it takes a file for a decompression bomb.
constexpr std::int64_t kMaxPixels = 178956970;
constexpr std::int64_t kMaxSide = 65500;
constexpr std::int64_t kMaxImageBytes = std::int64_t{512} << 20;

enum class ImageKind { jpeg, png, webp, gif, bmp };

struct ImageHeader {
  ImageKind kind = ImageKind::png;
  std::int64_t height = 0, width = 0;  ///< as stored
  int orientation = 1;                 ///< EXIF's, 1 to 8; PNG and WebP may have it behind the pixels
  /// Height and width after it has been turned upright.
  bool swaps_sides() const { return orientation >= 5; }
};

/// Throws InputError naming what is wrong: no known kind (TIFF and others by name), a header that breaks off, no or too
/// many pixels. `bytes`: the file's beginning, or all of it (a JPEG's size may stand far behind).
ImageHeader read_image_header(std::string_view bytes);

const char* to_string(ImageKind kind);

}  // namespace proctor
