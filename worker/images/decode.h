// From an image file's bytes to the pixels that Pillow's Image.open(file).convert("RGB") gives, byte for byte: the
// first frame, alpha dropped, no colour management. Pure but for the decoding libraries, which keep no state: any
// thread may call it.
#pragma once

#include <string>
#include <string_view>

#include "worker/images/picture.h"

namespace proctor {

/// upright: turned as EXIF's orientation says. Throws InputError, without the file's name: no known kind, beyond
/// read_image_header's limits (before anything is allocated), broken or truncated, 16-bit gray, BMP's RLE.
Picture decode_image(std::string_view bytes, bool upright);

/// Of the libraries linked, for a run's identity: "libjpeg-turbo 2.1.5, libpng 1.6.39, libwebp 1.2.4, giflib 5.2.1".
std::string decoder_versions();

}  // namespace proctor
