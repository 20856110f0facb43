// ATen's float32 upsample_*_aa, as torchvision's first interface calls it for a uint8 image.
#pragma once

#include "worker/images/picture.h"
#include "worker/images/resize_weights.h"

namespace proctor {

/// resample: bilinear or bicubic.
Picture resized_in_floats(const Picture& picture, std::int64_t height, std::int64_t width, Resample resample);

}  // namespace proctor
