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

/// What is added to the scores of a text, [1, heads, queries, keys] in q's dtype; or undefined. Empty: nothing is.
using PositionBias = std::function<at::Tensor(std::int64_t queries, std::int64_t keys)>;

/// Text i has queries[i] rows of q and attends the keys[i] rows of k and v that are its own. q [all queries, heads,
/// head_dim], k and v [all keys, heads, head_dim]; a dense last dimension; no length is 0. Returns [all queries,
/// heads * head_dim].
at::Tensor attend_texts(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        std::span<const std::int64_t> queries, std::span<const std::int64_t> keys, double scale,
                        const PositionBias& bias);

}  // namespace proctor
