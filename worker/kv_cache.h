// Keys and values of the rows being generated: lanes of one capacity, those in use in front. Lives as long as its
// batch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace proctor {

class KvCache {
 public:
  KvCache(std::int64_t layers, std::int64_t lanes, std::int64_t kv_heads, std::int64_t capacity, std::int64_t head_dim,
          const at::TensorOptions& options);

  std::int64_t lanes() const { return static_cast<std::int64_t>(lengths_.size()); }  ///< in use
  std::int64_t length(std::int64_t lane) const { return lengths_[static_cast<std::size_t>(lane)]; }
  std::int64_t longest() const;

  /// A lane behind the others, of so many tokens, to be written layer by layer.
  void add_lane(std::int64_t length) { lengths_.push_back(length); }
  /// [tokens, kv_heads, head_dim] to the lane's positions from `begin` on.
  void write(std::int64_t layer, std::int64_t lane, std::int64_t begin, const at::Tensor& keys,
             const at::Tensor& values);
  /// The last lane takes its place.
  void remove_lane(std::int64_t lane);

  /// Before a step: where each lane's new token goes.
  void begin_step();
  /// One token of every lane, [lanes, kv_heads, head_dim], behind what is there. Layer by layer; end_step() counts it.
  void append(std::int64_t layer, const at::Tensor& keys, const at::Tensor& values);
  void end_step();

  /// [lanes, kv_heads, tokens, head_dim]: the first `tokens` of every lane in use.
  at::Tensor keys(std::int64_t layer, std::int64_t tokens) const { return in_use(keys_[layer]).narrow(2, 0, tokens); }
  at::Tensor values(std::int64_t layer, std::int64_t tokens) const {
    return in_use(values_[layer]).narrow(2, 0, tokens);
  }

 private:
  at::Tensor in_use(const at::Tensor& lanes_of_layer) const { return lanes_of_layer.narrow(0, 0, lanes()); }

  at::Tensor keys_, values_;  // [layers, lanes, kv_heads, capacity, head_dim]
  at::Tensor slots_;          // [lanes, kv_heads, 1, head_dim], int64: each lane's next position
  std::vector<std::int64_t> lengths_;
};

}  // namespace proctor
