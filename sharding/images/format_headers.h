// The header of each kind of file. What they say is not checked against any limit here.
#pragma once

#include "sharding/images/byte_fields.h"
#include "sharding/images/image_header.h"

namespace proctor {

/// Each throws InputError where the bytes end too early or are not such a header.
ImageHeader read_jpeg_header(const ByteFields& file);
ImageHeader read_png_header(const ByteFields& file);
ImageHeader read_webp_header(const ByteFields& file);
ImageHeader read_gif_header(const ByteFields& file);
ImageHeader read_bmp_header(const ByteFields& file);

}  // namespace proctor
