// One function for each kind of file; decode.cc chooses. `header`: what read_image_header said of the same bytes.
#pragma once

#include <string_view>

#include "sharding/images/image_header.h"
#include "worker/images/picture.h"

namespace proctor {

/// Each throws InputError for what is broken, cut short or not read.
Picture decode_jpeg(std::string_view bytes, const ImageHeader& header);
Picture decode_png(std::string_view bytes, const ImageHeader& header);
Picture decode_webp(std::string_view bytes, const ImageHeader& header);
Picture decode_gif(std::string_view bytes, const ImageHeader& header);
Picture decode_bmp(std::string_view bytes, const ImageHeader& header);

}  // namespace proctor
