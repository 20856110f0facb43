// One function for each way of cutting an image: height and width are filled in, the rest is for them to fill.
// image_layout.cc checks what they make of extreme sides.
#pragma once

#include "sharding/images/image_layout.h"

namespace proctor {

/// Throws InputError for sides whose ratio is above 200.
void lay_out_grid(const VisionFacts& facts, ImageLayout& layout);
void lay_out_pinpoints(const VisionFacts& facts, ImageLayout& layout);
void lay_out_splits(const VisionFacts& facts, ImageLayout& layout);
void lay_out_ratio(const VisionFacts& facts, ImageLayout& layout);

}  // namespace proctor
