// From an image's height and width to sizes, tiles, patches and tokens: transformers' image processors' arithmetic,
// without a pixel. The planner (cost, max_length), the worker's processor and its expansion of prompts all ask here, so
// that they cannot disagree. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "sharding/protocol/vision_facts.h"

namespace proctor {

struct ImageLayout {
  std::int64_t height = 0, width = 0;                  ///< of the image, upright where that is asked
  std::int64_t resized_height = 0, resized_width = 0;  ///< of what is cut into tiles, or of the grid
  std::int64_t first_height = 0, first_width = 0;      ///< splits: to which it is resized before that
  std::int64_t canvas_height = 0, canvas_width = 0;    ///< pinpoints: on which it is pasted
  std::int64_t rows = 0, columns = 0;                  ///< of tiles; 0: not cut
  bool whole = false;                                  ///< the whole image is a tile too
  std::int64_t tiles = 1;                              ///< all of them; grid: 1
  std::int64_t grid_height = 0, grid_width = 0;        ///< grid: patches
  std::int64_t kept_rows = 0, kept_columns = 0;        ///< pinpoints: features of the tiles that are no padding
  std::int64_t pooled_rows = 0, pooled_columns = 0;    ///< pinpoints_pooled: to which they are shrunk; else as kept
  std::int64_t patches = 0;                            ///< that a tower computes
  std::int64_t tokens = 0;                             ///< rows of features
};

/// Throws InputError for an image that the processor refuses (sides too far apart, more than kMaxPixels once resized),
/// without its path.
ImageLayout layout_of(const VisionFacts& facts, std::int64_t height, std::int64_t width);

/// What is written in a prompt in place of facts.placeholder.
std::string text_of_image(const VisionFacts& facts, const ImageLayout& layout);

}  // namespace proctor
