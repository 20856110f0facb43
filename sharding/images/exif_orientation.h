// Which way up a camera was held.
#pragma once

#include <string_view>

namespace proctor {

/// 1 to 8, out of a block of EXIF (a TIFF header and its directory); 1 where it says nothing or nothing sensible.
/// Never throws: a broken block is as none, to Pillow too.
int exif_orientation(std::string_view tiff);

}  // namespace proctor
