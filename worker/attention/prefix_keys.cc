#include "worker/attention/prefix_keys.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <utility>

namespace proctor {

void PrefixKeys::reserve(std::int64_t tokens) {
  const std::int64_t capacity = keys_.empty() ? 0 : keys_[0].size(0);
  if (tokens <= capacity) return;
  const auto grow = [&](std::vector<at::Tensor>& tensors) {
    std::vector<at::Tensor> old = std::exchange(tensors, std::vector<at::Tensor>(layers_));
    for (std::size_t layer = 0; layer < layers_; ++layer) {
      tensors[layer] = at::empty({std::max(tokens, 2 * capacity), kv_heads_, head_dim_}, options_);
      if (length_ > 0) tensors[layer].narrow(0, 0, length_).copy_(old[layer].narrow(0, 0, length_));
      if (!old.empty()) old[layer].reset();
    }
  };
  grow(keys_);
  grow(values_);
}

void PrefixKeys::write(std::int64_t layer, const at::Tensor& keys, const at::Tensor& values) {
  if (layer == 0) reserve(length_ + keys.size(0));
  keys_[static_cast<std::size_t>(layer)].narrow(0, length_, keys.size(0)).copy_(keys);
  values_[static_cast<std::size_t>(layer)].narrow(0, length_, keys.size(0)).copy_(values);
}

void PrefixKeys::clear() {
  length_ = 0;
  keys_.clear();
  values_.clear();
}

}  // namespace proctor
