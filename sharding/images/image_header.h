// What the first bytes of an image file say: which kind it is and how large. No pixel is decoded. Pure; bytes are not to
// be trusted.
#pragma once

#include <cstdint>
#include <string_view>

namespace proctor {

enum class ImageKind { jpeg, png, webp, gif, bmp };

struct ImageHeader {
  ImageKind kind = ImageKind::png;
  std::int64_t height = 0, width = 0;  ///< as stored
  int orientation = 1;                 ///< EXIF's, 1 to 8
  /// Height and width after it has been turned upright.
  bool swaps_sides() const { return orientation >= 5; }
};

/// Throws InputError naming what is wrong: no known kind (TIFF and others by name), a header that breaks off, no or too
/// many pixels. `bytes`: the file's beginning, or all of it (a JPEG's size may stand far behind).
ImageHeader read_image_header(std::string_view bytes);

const char* to_string(ImageKind kind);

}  // namespace proctor
