#include "worker/kv_cache.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

namespace proctor {

KvCache::KvCache(std::int64_t layers, std::int64_t rows, std::int64_t kv_heads, std::int64_t capacity,
                 std::int64_t head_dim, const at::TensorOptions& options)
    : keys_(at::empty({layers, rows, kv_heads, capacity, head_dim}, options).zero_()),
      values_(at::empty({layers, rows, kv_heads, capacity, head_dim}, options).zero_()),
      lengths_(static_cast<std::size_t>(rows), 0) {}

std::int64_t KvCache::longest() const { return *std::max_element(lengths_.begin(), lengths_.end()); }

void KvCache::write_prompt(std::int64_t layer, std::int64_t row, const at::Tensor& keys, const at::Tensor& values) {
  keys_[layer][row].narrow(1, 0, keys.size(0)).copy_(keys.transpose(0, 1));
  values_[layer][row].narrow(1, 0, values.size(0)).copy_(values.transpose(0, 1));
}

void KvCache::begin_step() {
  slots_ = at::tensor(lengths_, at::kLong)
               .to(keys_.device())
               .view({rows(), 1, 1, 1})
               .expand({rows(), keys_.size(2), 1, keys_.size(4)});
}

void KvCache::append(std::int64_t layer, const at::Tensor& keys, const at::Tensor& values) {
  keys_[layer].scatter_(2, slots_, keys.unsqueeze(2));
  values_[layer].scatter_(2, slots_, values.unsqueeze(2));
}

void KvCache::end_step() {
  for (auto& length : lengths_) ++length;
}

at::Tensor KvCache::keys(std::int64_t layer, std::int64_t tokens) const { return keys_[layer].narrow(2, 0, tokens); }
at::Tensor KvCache::values(std::int64_t layer, std::int64_t tokens) const {
  return values_[layer].narrow(2, 0, tokens);
}

void KvCache::keep(const std::vector<std::int64_t>& rows) {
  const at::Tensor index = at::tensor(rows, at::kLong).to(keys_.device());
  keys_ = keys_.index_select(1, index);
  values_ = values_.index_select(1, index);
  std::vector<std::int64_t> lengths;
  for (std::int64_t row : rows) lengths.push_back(length(row));
  lengths_ = std::move(lengths);
}

}  // namespace proctor
