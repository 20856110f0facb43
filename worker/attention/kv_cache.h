// Keys and values of the rows being generated: lanes of one capacity, those in use in front. Lives as long as
// one run of the generation loop.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace proctor {

class KvCache {
 public:
  /// Room for so many positions, in one lane.
  KvCache(std::int64_t layers, std::int64_t positions, std::int64_t kv_heads, std::int64_t head_dim,
          const at::TensorOptions& options);
  /// Whether so many more lanes can be added. Where they cannot, but could if lanes had `capacity` positions, the room
  /// is divided into such; what is in lanes moves along. No lane in use holds, or will hold, more than `capacity`.
  bool make_room(std::int64_t lanes, std::int64_t capacity);

  std::int64_t room() const { return keys_.lanes.size(1) - lanes(); }                ///< lanes not in use
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
  at::Tensor keys(std::int64_t layer, std::int64_t tokens) const {
    return in_use(keys_.lanes[layer]).narrow(2, 0, tokens);
  }
  at::Tensor values(std::int64_t layer, std::int64_t tokens) const {
    return in_use(values_.lanes[layer]).narrow(2, 0, tokens);
  }

 private:
  at::Tensor in_use(const at::Tensor& lanes_of_layer) const { return lanes_of_layer.narrow(0, 0, lanes()); }
  void divide(std::int64_t count, std::int64_t capacity);

  struct Half {
    at::Tensor room;   // [layers, positions * kv_heads * head_dim]
    at::Tensor lanes;  // [layers, lanes, kv_heads, capacity, head_dim], in front of each layer's room
  };
  Half keys_, values_;
  at::Tensor slots_;  // [lanes, kv_heads, 1, head_dim], int64: each lane's next position
  std::vector<std::int64_t> lengths_;
};

}  // namespace proctor
