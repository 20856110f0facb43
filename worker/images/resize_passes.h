// One pass over a picture: along its rows or its columns, the other side as it is. out[i] = clip((half + sum of weight
// times pixel) >> bits), as Pillow and ATen both round.
#pragma once

#include "worker/images/picture.h"
#include "worker/images/resize_weights.h"

namespace proctor {

/// [height, width] -> [height, weights.spans.size()].
Picture resized_rows(const Picture& picture, const Weights<std::int32_t>& weights, int bits);
/// [height, width] -> [weights.spans.size(), width].
Picture resized_columns(const Picture& picture, const Weights<std::int32_t>& weights, int bits);

}  // namespace proctor
