// EXIF's eight orientations, as Pillow's ImageOps.exif_transpose undoes them.
#pragma once

#include "worker/images/picture.h"

namespace proctor {

/// orientation: 1 to 8.
Picture turned_upright(const Picture& picture, int orientation);

}  // namespace proctor
