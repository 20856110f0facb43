// From a picture to what a vision tower takes, as the model's image processor makes it.
#pragma once

#include <vector>

#include "sharding/images/image_layout.h"
#include "worker/checkpoint/image_processor.h"
#include "worker/images/picture.h"

namespace proctor {

struct ImageInput {
  ImageLayout layout;
  /// float32. grid: [patches, 3 * frames * patch * patch], patches of a token next to one another (grid / merge rows,
  /// columns, then merge rows, columns), in a patch channel, frame, row, column. Else [tiles, 3, height, width] of a
  /// tile (crop_height x crop_width, or side x side), tiles in the order in which their features stand.
  std::vector<float> values;
};

/// Pure; any thread may call it. Throws InputError for a picture that the processor refuses (layout_of).
ImageInput make_input(const ImageProcessor& processor, const Picture& picture);

}  // namespace proctor
