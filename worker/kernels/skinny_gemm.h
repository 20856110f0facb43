// The product of a decoding step: few rows, so that reading the weights is what takes the time.
#pragma once

#include <ATen/core/Tensor.h>

namespace proctor {

/// Faster than MKL for 2 to 64 rows, 3 % slower for 1; more were not compared (products_of_a_step in tests/bench).
constexpr std::int64_t kSkinnyRows = 64;

/// x weight^T: x [rows, inputs], weight [outputs, inputs], float32 on the CPU, dense rows; returns [rows, outputs].
/// Reads the weight once, as it lies, where MKL's product packs it anew each time. A value depends on nothing but its
/// row, its weights and the instruction set. Compute thread only.
at::Tensor skinny_gemm(const at::Tensor& x, const at::Tensor& weight);

}  // namespace proctor
