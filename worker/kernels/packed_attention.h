// Attention over texts that lie one after another without padding: neighbours of one shape are one call.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <vector>

#include "sharding/protocol/tokens.h"

namespace proctor {

/// Where each text begins.
std::vector<std::int32_t> first_tokens(std::span<const std::int64_t> lengths);

/// What is added to the scores of texts of one length, [texts | 1, heads | 1, queries, keys] in q's dtype; or
/// undefined. q [texts, heads, queries, head_dim], k [texts, kv_heads, keys, head_dim]; query i and key i are of
/// position i. Empty: nothing is added.
using PositionBias = std::function<at::Tensor(const at::Tensor& q, const at::Tensor& k)>;

/// What of a text's keys is attended, and how.
struct TextAttention {
  double scale = 1;
  PositionBias bias = {};
  std::int64_t reach = 0;  ///< how far a query sees in both directions, without a bias; 0: all keys
  bool causal = false;     ///< query i sees keys 0..i, without a bias or reach
};

/// Text i has queries[i] rows of q and attends the keys[i] rows of k and v that are its own. q [all queries, heads,
/// head_dim], k and v [all keys, kv_heads, head_dim]; a dense last dimension; no length is 0. Returns [all queries,
/// heads * head_dim]. With a reach, memory grows with the texts' length alone.
at::Tensor attend_texts(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        std::span<const std::int64_t> queries, std::span<const std::int64_t> keys,
                        const TextAttention& how);

}  // namespace proctor
