// From the features of an image's tiles to the rows that stand for it (LLaVA-NeXT, arXiv:2310.03744; LLaVA-OneVision,
// arXiv:2408.03326): the whole image first, then its tiles without their padding, a vector behind each row. Compute
// thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include "sharding/images/image_layout.h"

namespace proctor {

/// tiles [tiles, side * side, hidden], the whole image's first; newline [hidden]. Returns [layout.tokens, hidden].
/// Shrunk where the layout says so: bilinear, without antialiasing, in the tiles' dtype.
at::Tensor arrange_tiles(const at::Tensor& tiles, const ImageLayout& layout, const at::Tensor& newline);

}  // namespace proctor
