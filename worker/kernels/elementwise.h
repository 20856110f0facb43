// What lies between the products of a layer: on the CPU in one pass over memory each, with float32 inside, elsewhere by
// ATen's operators. Last dimensions are dense, the others may be strided. Compute thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include "worker/base/activation.h"

namespace proctor {

struct RmsNorm {
  double epsilon = 1e-6;
  bool plus_one = false;     ///< times 1 + weight
  bool rounds_once = false;  ///< after the weight alone, as is always so with plus_one; else before it too
};
/// x / sqrt(mean(x^2) + epsilon) over the last dimension, rounded to x's dtype, times weight (RMSNorm as transformers
/// has it; on CUDA rounded after the weight only). x [rows, width] or [rows, heads, width]; returns a new tensor.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, const RmsNorm& norm);
/// x += y, then the norm of x. [rows, width].
at::Tensor add_then_norm(const at::Tensor& x, const at::Tensor& y, const at::Tensor& weight, const RmsNorm& norm);

/// LayerNorm (Ba et al. 2016, arXiv:1607.06450) of x + y + bias. x, y [rows, width], the others [width]; y, contiguous,
/// is used up: on the CPU it is what is returned. Elsewhere the bias may be undefined: the product had it.
at::Tensor add_then_layer_norm(const at::Tensor& x, const at::Tensor& y, const at::Tensor& bias,
                               const at::Tensor& weight, const at::Tensor& norm_bias, double epsilon);

enum class RotaryLayout { halves, interleaved };  ///< pairs (i, i + head_dim / 2), or (2i, 2i + 1)
/// Rotary embedding in place (Su et al. 2021, arXiv:2104.09864). x [rows, heads, head_dim]; cos, sin [rows, head_dim /
/// 2], float32.
void rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, RotaryLayout layout);

/// In place; returns x.
at::Tensor activate(const at::Tensor& x, Activation activation);
/// The same of x + bias. x [rows, width], contiguous; bias [width], undefined as above.
at::Tensor add_then_activate(const at::Tensor& x, const at::Tensor& bias, Activation activation);

/// activation(first half) * second half of the last dimension. [rows, 2 * width] -> [rows, width]; in float32 on the
/// CPU in place of the first half, strided (elsewhere dense rows are faster). swiglu_oai as gpt-oss has it.
at::Tensor gated(const at::Tensor& gate_up, Activation activation);

/// What xIELU is made of (Huang and Schlag 2024, arXiv:2411.13010), each [1].
struct Xielu {
  at::Tensor alpha_p, alpha_n;  ///< learned
  at::Tensor beta, epsilon;
};
/// In place; returns x. What the learned numbers give is in bfloat16, as they were trained.
at::Tensor xielu(const at::Tensor& x, const Xielu& numbers);

}  // namespace proctor
