// Keys and values of the tokens that every row of a batch begins with: storage alone. PrefixCache fills it,
// TreeAttention and CachedAttention read it. Compute thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace proctor {

class PrefixKeys {
 public:
  /// Of each layer: [length, kv_heads, head_dim]
  PrefixKeys(std::int64_t layers, std::int64_t kv_heads, std::int64_t head_dim, const at::TensorOptions& options)
      : layers_(static_cast<std::size_t>(layers)), kv_heads_(kv_heads), head_dim_(head_dim), options_(options) {}

  std::int64_t length() const { return length_; }
  /// [length, kv_heads, head_dim]
  at::Tensor keys(std::int64_t layer) const { return keys_[static_cast<std::size_t>(layer)].narrow(0, 0, length_); }
  at::Tensor values(std::int64_t layer) const { return values_[static_cast<std::size_t>(layer)].narrow(0, 0, length_); }

  /// Room for so many tokens; what is there is kept.
  void reserve(std::int64_t tokens);
  /// Keys and values of the tokens that follow, [tokens, kv_heads, head_dim]: layer by layer, then set_length().
  void write(std::int64_t layer, const at::Tensor& keys, const at::Tensor& values);
  /// How many tokens count from here on: of those written.
  void set_length(std::int64_t tokens) { length_ = tokens; }
  /// Forgets all; the memory too.
  void clear();

 private:
  std::size_t layers_;
  std::int64_t kv_heads_, head_dim_, length_ = 0;
  at::TensorOptions options_;
  std::vector<at::Tensor> keys_, values_;  // of each layer: [capacity, kv_heads, head_dim]
};

}  // namespace proctor
