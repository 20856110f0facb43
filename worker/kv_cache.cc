#include "worker/kv_cache.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

namespace proctor {

KvCache::KvCache(std::int64_t layers, std::int64_t lanes, std::int64_t kv_heads, std::int64_t capacity,
                 std::int64_t head_dim, const at::TensorOptions& options)
    : keys_(at::empty({layers, lanes, kv_heads, capacity, head_dim}, options).zero_()),
      values_(at::empty({layers, lanes, kv_heads, capacity, head_dim}, options).zero_()) {}

std::int64_t KvCache::longest() const { return *std::max_element(lengths_.begin(), lengths_.end()); }

void KvCache::write(std::int64_t layer, std::int64_t lane, std::int64_t begin, const at::Tensor& keys,
                    const at::Tensor& values) {
  keys_[layer][lane].narrow(1, begin, keys.size(0)).copy_(keys.transpose(0, 1));
  values_[layer][lane].narrow(1, begin, values.size(0)).copy_(values.transpose(0, 1));
}

void KvCache::remove_lane(std::int64_t lane) {
  const std::int64_t last = lanes() - 1;
  for (const at::Tensor& tensor : {keys_, values_})
    if (lane != last)
      tensor.select(1, lane).narrow(2, 0, longest()).copy_(tensor.select(1, last).narrow(2, 0, longest()));
  lengths_[static_cast<std::size_t>(lane)] = lengths_.back();
  lengths_.pop_back();
}

void KvCache::begin_step() {
  slots_ = at::tensor(lengths_, at::kLong)
               .to(keys_.device())
               .view({lanes(), 1, 1, 1})
               .expand({lanes(), keys_.size(2), 1, keys_.size(4)});
}

void KvCache::append(std::int64_t layer, const at::Tensor& keys, const at::Tensor& values) {
  in_use(keys_[layer]).scatter_(2, slots_, keys.unsqueeze(2));
  in_use(values_[layer]).scatter_(2, slots_, values.unsqueeze(2));
}

void KvCache::end_step() {
  for (auto& length : lengths_) ++length;
}

}  // namespace proctor
