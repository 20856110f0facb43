// One door for attention, with leaves by device: ATen's flash attention on the CPU; on CUDA its flash kernel for what
// it takes, else the memory-efficient one; and a plain reference that takes everything (the oracle of the tests).
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace proctor {

/// Exactly one of causal and mask, or neither (full attention).
struct AttendSpec {
  double scale = 1;
  bool causal = false;  ///< query i sees keys 0..i (as many queries as keys)
  at::Tensor mask;  ///< undefined, or [batch | 1, heads | 1, queries, keys], q's dtype, added: 0 or -inf, or a bias.
                    ///< No row all -inf: ATen answers such a row with 0 and a log-sum-exp of 0
  double soft_cap = 0;  ///< c: c * tanh(product / c), before the mask; 0: none
};

struct Attended {
  at::Tensor out;  ///< [batch, heads, queries, head_dim]
  at::Tensor lse;  ///< [batch, heads, queries], float32: log of the sum of exp(scores), natural
};

/// q [batch, heads, queries, head_dim], k and v [batch, kv_heads, keys, head_dim], any strides with a dense last
/// dimension; heads a multiple of kv_heads. Never zero queries or keys (ATen divides by them): checked.
Attended attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttendSpec& spec);
Attended attend_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttendSpec& spec);

/// What the same queries get from two disjoint sets of keys -> what they get from both, into `a`, in float32. Any shape
/// [..., head_dim] with lse [...]; a.out is float32. lse -inf: that side saw no key.
void join(Attended& a, const Attended& b);

}  // namespace proctor
