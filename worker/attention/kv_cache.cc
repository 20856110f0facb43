#include "worker/attention/kv_cache.h"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

namespace proctor {

KvCache::KvCache(std::int64_t layers, std::int64_t positions, std::int64_t kv_heads, std::int64_t head_dim,
                 const at::TensorOptions& options) {
  for (Half* half : {&keys_, &values_}) {
    half->room = at::zeros({layers, positions * kv_heads * head_dim}, options);  // masked, which NaN would survive
    half->lanes = half->room.unflatten(1, {1, kv_heads, positions, head_dim});
  }
}

bool KvCache::make_room(std::int64_t more, std::int64_t capacity) {
  const std::int64_t position = keys_.lanes.size(2) * keys_.lanes.size(4);
  const std::int64_t count = keys_.room.size(1) / (position * capacity);
  if (more > room() && more <= count - lanes()) divide(count, capacity);
  return more <= room();
}

void KvCache::divide(std::int64_t count, std::int64_t capacity) {
  const std::int64_t kv_heads = keys_.lanes.size(2), head_dim = keys_.lanes.size(4), layers = keys_.lanes.size(0);
  const std::int64_t size = count * kv_heads * capacity * head_dim;
  for (Half* half : {&keys_, &values_}) {
    const at::Tensor old =
        std::exchange(half->lanes, half->room.narrow(1, 0, size).unflatten(1, {count, kv_heads, capacity, head_dim}));
    for (std::int64_t layer = 0; layer < layers && lanes() > 0; ++layer) {  // by way of a copy: both lie in one room
      const auto used = [&](const at::Tensor& all) { return in_use(all[layer]).narrow(2, 0, longest()); };
      used(half->lanes).copy_(used(old).clone());
    }
  }
}

std::int64_t KvCache::longest() const { return *std::max_element(lengths_.begin(), lengths_.end()); }

void KvCache::write(std::int64_t layer, std::int64_t lane, std::int64_t begin, const at::Tensor& keys,
                    const at::Tensor& values) {
  keys_.lanes[layer][lane].narrow(1, begin, keys.size(0)).copy_(keys.transpose(0, 1));
  values_.lanes[layer][lane].narrow(1, begin, values.size(0)).copy_(values.transpose(0, 1));
}

void KvCache::remove_lane(std::int64_t lane) {
  const std::int64_t last = lanes() - 1;
  for (const at::Tensor& tensor : {keys_.lanes, values_.lanes})
    if (lane != last)
      tensor.select(1, lane).narrow(2, 0, length(last)).copy_(tensor.select(1, last).narrow(2, 0, length(last)));
  lengths_[static_cast<std::size_t>(lane)] = lengths_.back();
  lengths_.pop_back();
}

void KvCache::begin_step() {
  slots_ = at::tensor(lengths_, at::kLong)
               .to(keys_.room.device())
               .view({lanes(), 1, 1, 1})
               .expand({lanes(), keys_.lanes.size(2), 1, keys_.lanes.size(4)});
}

void KvCache::append(std::int64_t layer, const at::Tensor& keys, const at::Tensor& values) {
  in_use(keys_.lanes[layer]).scatter_(2, slots_, keys.unsqueeze(2));
  in_use(values_.lanes[layer]).scatter_(2, slots_, values.unsqueeze(2));
}

void KvCache::end_step() {
  for (auto& length : lengths_) ++length;
}

}  // namespace proctor
