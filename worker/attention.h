// One door for attention, with leaves by device: ATen's flash attention on the CPU, scaled_dot_product_attention on
// CUDA, and a plain reference that takes everything (the oracle of the tests).
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace proctor {

/// Exactly one of causal and mask, or neither (full attention).
struct AttendSpec {
  double scale = 1;
  bool causal = false;  ///< query i sees keys 0..i (as many queries as keys)
  at::Tensor mask;      ///< undefined, or [batch | 1, 1, queries, keys], q's dtype, added: 0 or -inf. No row all -inf:
                        ///< ATen answers such a row with 0, not with an error
};

/// q [batch, heads, queries, head_dim], k and v [batch, kv_heads, keys, head_dim], any strides with a dense last
/// dimension; heads a multiple of kv_heads. Returns [batch, heads, queries, head_dim]. Never zero queries or keys (ATen
/// divides by them): checked.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttendSpec& spec);
at::Tensor attend_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttendSpec& spec);

}  // namespace proctor
