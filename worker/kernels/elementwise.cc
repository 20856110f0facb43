#include "worker/kernels/elementwise.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_fused_rms_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/expm1.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>

#include <tuple>

#include "sharding/protocol/error.h"
#include "worker/kernels/elementwise_rows.h"
#include "worker/kernels/for_each_isa.h"

namespace proctor {
namespace {

using namespace rows;

/// [rows, heads] vectors of `width`.
struct Strides {
  std::int64_t rows, heads, width, row, head;
  explicit Strides(const at::Tensor& x)
      : rows(x.size(0)),
        heads(x.dim() == 3 ? x.size(1) : 1),
        width(x.size(-1)),
        row(x.stride(0)),
        head(x.dim() == 3 ? x.stride(1) : 0) {
    PROCTOR_CHECK(x.dim() <= 3 && x.stride(-1) == 1, "rows are dense");
  }
  std::int64_t at(std::int64_t r, std::int64_t h) const { return r * row + h * head; }
};

template <class T>
PROCTOR_INLINE void norm_rows(const T* x, const Strides& in, const T* weight, T* out, const NormOfRow& norm) {
  for (std::int64_t r = 0; r < in.rows; ++r)
    for (std::int64_t h = 0; h < in.heads; ++h, out += in.width) norm_row(x + in.at(r, h), weight, out, in.width, norm);
}

template <class T>
PROCTOR_INLINE void add_norm_rows(T* x, const T* y, const Strides& in, const T* weight, T* out, const NormOfRow& norm) {
  for (std::int64_t r = 0; r < in.rows; ++r, y += in.width, out += in.width) {
    add_row(x + r * in.row, y, in.width);
    norm_row(x + r * in.row, weight, out, in.width, norm);
  }
}

template <class T>
PROCTOR_INLINE void add_layer_norm_rows(const T* x, const Strides& in, T* y, const T* bias, const T* weight,
                                        const T* norm_bias, float epsilon) {
  for (std::int64_t r = 0; r < in.rows; ++r, y += in.width)
    layer_norm_row(x + r * in.row, y, bias, weight, norm_bias, in.width, epsilon);
}

template <class T>
PROCTOR_INLINE void gelu_rows(T* x, const T* bias, std::int64_t rows, std::int64_t width) {
  for (std::int64_t r = 0; r < rows; ++r) gelu_row(x + r * width, bias, width);
}

template <class T>
PROCTOR_INLINE void rotate_rows(T* x, const Strides& in, const float* cos, const float* sin, RotaryLayout layout) {
  const std::int64_t half = in.width / 2;
  for (std::int64_t r = 0; r < in.rows; ++r, cos += half, sin += half)
    for (std::int64_t h = 0; h < in.heads; ++h)
      if (layout == RotaryLayout::halves)
        rotate_halves(x + in.at(r, h), cos, sin, half);
      else
        rotate_pairs(x + in.at(r, h), cos, sin, half);
}

template <class Body>
void with_type_of(const at::Tensor& x, const Body& body) {
  if (x.scalar_type() == at::kFloat) return body(0.0f);
  if (x.scalar_type() == at::kBFloat16) return body(c10::BFloat16(0.0f));
  PROCTOR_CHECK(x.scalar_type() == at::kHalf, "modules are float32, bfloat16 or float16");
  body(c10::Half(0.0f));
}

/// One kernel; it rounds once, where transformers rounds before the weight too.
at::Tensor fused_norm(const at::Tensor& x, const at::Tensor& weight, const RmsNorm& norm) {
  const auto fused = [&](const at::Tensor& rows, const at::Tensor& weights) {
    return std::get<0>(at::_fused_rms_norm(rows.contiguous(), {rows.size(-1)}, weights, norm.epsilon));
  };
  if (!norm.plus_one) return fused(x, weight);
  return fused(x.to(at::kFloat), weight.to(at::kFloat) + 1).to(x.scalar_type());
}

NormOfRow of_row(const RmsNorm& norm) {
  return {static_cast<float>(norm.epsilon), norm.plus_one ? 1.0f : 0.0f, norm.plus_one || norm.rounds_once};
}

void rotate_by_operators(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, RotaryLayout layout) {
  const std::int64_t half = x.size(-1) / 2;
  const at::Tensor c = cos.unsqueeze(1), s = sin.unsqueeze(1), wide = x.to(at::kFloat);
  const bool halves = layout == RotaryLayout::halves;
  const at::Tensor pairs = wide.unflatten(-1, {half, 2});
  const at::Tensor a = halves ? wide.narrow(-1, 0, half) : pairs.select(-1, 0);
  const at::Tensor b = halves ? wide.narrow(-1, half, half) : pairs.select(-1, 1);
  const at::Tensor first = a * c - b * s, second = b * c + a * s;
  x.copy_(halves ? at::cat({first, second}, -1) : at::stack({first, second}, -1).flatten(-2));
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, const RmsNorm& norm) {
  if (!x.is_cpu()) return fused_norm(x, weight, norm);
  at::Tensor out = at::empty(x.sizes(), x.options());
  with_type_of(x, [&](auto zero) {
    using Scalar = decltype(zero);
    for_this_isa([&]() PROCTOR_INLINE_BODY {
      norm_rows(x.const_data_ptr<Scalar>(), Strides(x), weight.const_data_ptr<Scalar>(), out.data_ptr<Scalar>(),
                of_row(norm));
    });
  });
  return out;
}

at::Tensor add_then_norm(const at::Tensor& x, const at::Tensor& y, const at::Tensor& weight, const RmsNorm& norm) {
  if (!x.is_cpu()) return fused_norm(x.add_(y), weight, norm);
  PROCTOR_CHECK(y.is_contiguous() && x.sizes() == y.sizes() && x.dim() == 2, "one row is added to each row");
  at::Tensor out = at::empty(x.sizes(), x.options());
  with_type_of(x, [&](auto zero) {
    using Scalar = decltype(zero);
    for_this_isa([&]() PROCTOR_INLINE_BODY {
      add_norm_rows(x.data_ptr<Scalar>(), y.const_data_ptr<Scalar>(), Strides(x), weight.const_data_ptr<Scalar>(),
                    out.data_ptr<Scalar>(), of_row(norm));
    });
  });
  return out;
}

at::Tensor add_then_layer_norm(const at::Tensor& x, const at::Tensor& y, const at::Tensor& bias,
                               const at::Tensor& weight, const at::Tensor& norm_bias, double epsilon) {
  if (!x.is_cpu()) {
    if (bias.defined()) y.add_(bias);
    return at::layer_norm(y.add_(x), {y.size(1)}, weight, norm_bias, epsilon);
  }
  PROCTOR_CHECK(y.is_contiguous() && x.sizes() == y.sizes() && x.dim() == 2, "one row is added to each row");
  with_type_of(x, [&](auto zero) {
    using Scalar = decltype(zero);
    for_this_isa([&]() PROCTOR_INLINE_BODY {
      add_layer_norm_rows(x.const_data_ptr<Scalar>(), Strides(x), y.data_ptr<Scalar>(), bias.const_data_ptr<Scalar>(),
                          weight.const_data_ptr<Scalar>(), norm_bias.const_data_ptr<Scalar>(),
                          static_cast<float>(epsilon));
    });
  });
  return y;
}

void rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, RotaryLayout layout) {
  if (!x.is_cpu()) return rotate_by_operators(x, cos, sin, layout);
  PROCTOR_CHECK(cos.is_contiguous() && sin.is_contiguous() && cos.size(0) == x.size(0), "a row of angles for each row");
  with_type_of(x, [&](auto zero) {
    using Scalar = decltype(zero);
    for_this_isa([&]() PROCTOR_INLINE_BODY {
      rotate_rows(x.data_ptr<Scalar>(), Strides(x), cos.const_data_ptr<float>(), sin.const_data_ptr<float>(), layout);
    });
  });
}

namespace {

constexpr double kQuickSlope = 1.702;  // x * sigmoid(1.702 x) is near to gelu (Hendrycks and Gimpel 2016)
constexpr double kSwigluLimit = 7;     // of gpt-oss

}  // namespace

at::Tensor activate(const at::Tensor& x, Activation activation) {
  at::Tensor out = x;
  switch (activation) {
    case Activation::gelu:
      return at::gelu_(out);
    case Activation::gelu_tanh:
      return at::gelu_(out, "tanh");
    case Activation::quick_gelu:
      return out.mul_(at::sigmoid(out * kQuickSlope));
    case Activation::relu:
      return at::relu_(out);
    case Activation::relu_squared:
      return at::relu_(out).square_();
    case Activation::sigmoid:
      return out.sigmoid_();
    case Activation::silu:
      return at::silu_(out);
    case Activation::tanh:
      return out.tanh_();
    case Activation::xielu:
    case Activation::swiglu_oai:
      break;
  }
  PROCTOR_CHECK(false, "these have functions of their own");
  return out;
}

at::Tensor add_then_activate(const at::Tensor& x, const at::Tensor& bias, Activation activation) {
  if (!x.is_cpu() || activation != Activation::gelu) return activate(bias.defined() ? x.add_(bias) : x, activation);
  PROCTOR_CHECK(x.is_contiguous() && x.dim() == 2, "rows are dense");
  with_type_of(x, [&](auto zero) {
    using Scalar = decltype(zero);
    for_this_isa([&]() PROCTOR_INLINE_BODY {
      gelu_rows(x.data_ptr<Scalar>(), bias.const_data_ptr<Scalar>(), x.size(0), x.size(1));
    });
  });
  return x;
}

namespace {

at::Tensor swiglu_oai(const at::Tensor& all_gate, const at::Tensor& all_up) {
  const at::Tensor gate = all_gate.clamp_max(kSwigluLimit), up = all_up.clamp(-kSwigluLimit, kSwigluLimit);
  return (up + 1).mul_(gate * at::sigmoid(gate * kQuickSlope));
}

}  // namespace

at::Tensor gated(const at::Tensor& gate_up, Activation activation) {
  const std::int64_t width = gate_up.size(-1) / 2;
  at::Tensor gate = gate_up.narrow(-1, 0, width);
  const at::Tensor up = gate_up.narrow(-1, width, width);
  if (activation == Activation::swiglu_oai) return swiglu_oai(gate, up);
  const bool in_place = gate.is_cpu() && gate.scalar_type() == at::kFloat;
  if (!in_place && activation == Activation::silu) return at::silu(gate).mul_(up);
  return activate(in_place ? gate : gate.contiguous(), activation).mul_(up);
}

at::Tensor xielu(const at::Tensor& x, const Xielu& numbers) {
  const auto in_bfloat16 = [](const at::Tensor& number) { return number.to(at::kBFloat16); };
  const at::Tensor p = at::softplus(in_bfloat16(numbers.alpha_p)).to(x.scalar_type()),
                   n = (at::softplus(in_bfloat16(numbers.alpha_n)) + in_bfloat16(numbers.beta)).to(x.scalar_type());
  const at::Tensor below = (at::expm1(at::minimum(x, numbers.epsilon)) - x) * n, above = x.square() * p;
  return x.copy_(at::where(x > 0, above, below) + x * numbers.beta);
}

}  // namespace proctor
