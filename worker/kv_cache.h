// Keys and values of the rows being generated, padded to one capacity. Lives as long as its batch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace proctor {

class KvCache {
 public:
  KvCache(std::int64_t layers, std::int64_t rows, std::int64_t kv_heads, std::int64_t capacity, std::int64_t head_dim,
          const at::TensorOptions& options);

  std::int64_t rows() const { return static_cast<std::int64_t>(lengths_.size()); }
  std::int64_t length(std::int64_t row) const { return lengths_[static_cast<std::size_t>(row)]; }
  std::int64_t longest() const;

  /// A prompt's keys and values of one layer, [tokens, kv_heads, head_dim], to the row's beginning.
  void write_prompt(std::int64_t layer, std::int64_t row, const at::Tensor& keys, const at::Tensor& values);
  void set_length(std::int64_t row, std::int64_t length) { lengths_[static_cast<std::size_t>(row)] = length; }

  /// Before a step: where each row's new token goes.
  void begin_step();
  /// One token of every row, [rows, kv_heads, head_dim], behind what is there. Layer by layer; end_step() counts it.
  void append(std::int64_t layer, const at::Tensor& keys, const at::Tensor& values);
  void end_step();

  /// [rows, kv_heads, tokens, head_dim]: the first `tokens` of every row.
  at::Tensor keys(std::int64_t layer, std::int64_t tokens) const;
  at::Tensor values(std::int64_t layer, std::int64_t tokens) const;

  /// Keeps these rows only, in this order.
  void keep(const std::vector<std::int64_t>& rows);

 private:
  at::Tensor keys_, values_;  // [layers, rows, kv_heads, capacity, head_dim]
  at::Tensor slots_;          // [rows, kv_heads, 1, head_dim], int64: each row's next position
  std::vector<std::int64_t> lengths_;
};

}  // namespace proctor
