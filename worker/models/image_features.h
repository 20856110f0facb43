// What stands in rows in place of embeddings where images are: rows of features by ids past the vocabulary, of one
// shard's images. Compute thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace proctor {

struct ImageFeatures {
  at::Tensor rows;               ///< [features, hidden]: of id vocabulary + i; undefined: there are no images
  std::vector<at::Tensor> deep;  ///< the same shape, added behind each of the first layers (Qwen3-VL's DeepStack)
};

}  // namespace proctor
