#include "worker/kernels/elementwise.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/worker/support/tolerance.h"
#include "worker/kernels/skinny_gemm.h"
#include "worker/models/row_parallel.h"

namespace proctor {
namespace {

/// Values of up to 5 (normal numbers), each rounded twice to its type on the way, and by two operations in float32.
struct Precision {
  at::ScalarType type;
  double bound = 5 * 2 * (unit_roundoff(type) + 2 * unit_roundoff(at::kFloat));
};
const Precision kPrecisions[] = {{at::kFloat}, {at::kBFloat16}, {at::kHalf}};

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

at::Tensor plain_norm(const at::Tensor& x, const at::Tensor& weight) {
  const at::Tensor wide = x.to(at::kDouble);
  return wide / (wide.square().mean(-1, true) + 1e-5).sqrt() * weight.to(at::kDouble);
}

TEST(RmsNorm, is_its_formula_for_rows_and_for_heads_of_a_wider_row) {
  for (const auto& [type, bound] : kPrecisions)
    for (const std::int64_t width : {7, 16, 64, 577}) {
      const at::Tensor rows = at::randn({5, width}).to(type), weight = at::rand({width}).to(type);
      EXPECT_LT(distance(rms_norm(rows, weight, {1e-5}), plain_norm(rows, weight)), bound) << width;
      const at::Tensor heads = at::randn({5, 6, width}).to(type).narrow(1, 2, 3);
      EXPECT_LT(distance(rms_norm(heads, weight, {1e-5}), plain_norm(heads, weight)), bound) << width;
    }
}

TEST(RmsNorm, after_an_addition_is_the_norm_of_the_sum_which_stays) {
  for (const auto& [type, bound] : kPrecisions) {
    const at::Tensor x = at::randn({4, 40}).to(type), y = at::randn({4, 40}).to(type), weight = at::rand({40}).to(type);
    const at::Tensor sum = x + y;
    EXPECT_LT(distance(add_then_norm(x, y, weight, {1e-5}), plain_norm(sum, weight)), bound);
    EXPECT_EQ(distance(x, sum), 0) << "rounded as ATen rounds";
  }
}

TEST(RmsNorm, what_is_not_a_number_stays_so) {
  const at::Tensor x = at::full({1, 8}, std::numeric_limits<float>::quiet_NaN(), at::kBFloat16);
  EXPECT_TRUE(rms_norm(x, at::full({8}, 1, at::kBFloat16), {1e-5}).isnan().all().item<bool>());
}

TEST(AddThenLayerNorm, is_the_norm_of_the_biased_sum) {
  for (const auto& [type, bound] : kPrecisions)
    for (const std::int64_t width : {7, 16, 577}) {
      const auto random = [&, type = type](at::IntArrayRef sizes) { return at::randn(sizes).to(type); };
      const at::Tensor x = random({5, width}), y = random({5, width}), bias = random({width}), weight = random({width}),
                       norm_bias = random({width});
      const at::Tensor sum = (x.to(at::kDouble) + (y.to(at::kDouble) + bias.to(at::kDouble))).to(type).to(at::kDouble);
      const at::Tensor centred = sum - sum.mean(-1, true);
      const at::Tensor expected = centred / (centred.square().mean(-1, true) + 1e-5).sqrt() * weight.to(at::kDouble) +
                                  norm_bias.to(at::kDouble);
      EXPECT_LT(distance(add_then_layer_norm(x, y, bias, weight, norm_bias, 1e-5), expected), 4 * bound) << width;
    }
}

TEST(AddThenActivate, is_each_activation_of_the_biased_value) {
  for (const auto& [type, bound] : kPrecisions) {
    const at::Tensor x = (at::randn({9, 37}) * 3).to(type), bias = at::randn({37}).to(type);
    x[0] = at::arange(37).to(type) - 18;  // both tails
    const at::Tensor sum = x.to(at::kDouble) + bias.to(at::kDouble);
    const auto of = [&](Activation activation) { return add_then_activate(x.clone(), bias, activation); };
    EXPECT_LT(distance(of(Activation::gelu), at::gelu(sum)), 4 * bound);
    EXPECT_LT(distance(of(Activation::gelu_tanh), at::gelu(sum, "tanh")), 4 * bound);
    EXPECT_LT(distance(of(Activation::relu), at::relu(sum)), 4 * bound);
    EXPECT_LT(distance(of(Activation::silu), at::silu(sum)), 4 * bound);
  }
}

TEST(Rotate, turns_each_pair_by_its_angle_in_both_layouts) {
  for (const auto& [type, bound] : kPrecisions) {
    const at::Tensor both = at::randn({3, 5, 16}).to(type), angles = at::rand({3, 8}) * 6;
    const at::Tensor c = angles.cos().unsqueeze(1), s = angles.sin().unsqueeze(1);
    const at::Tensor a = both.narrow(-1, 0, 8).to(at::kFloat), b = both.narrow(-1, 8, 8).to(at::kFloat);
    const at::Tensor first = a * c - b * s, second = b * c + a * s;
    const at::Tensor halves = both.clone(), pairs = at::stack({a, b}, -1).flatten(-2).to(type);
    rotate(halves.narrow(1, 1, 3), angles.cos(), angles.sin(), RotaryLayout::halves);
    EXPECT_LT(distance(halves.narrow(1, 1, 3), at::cat({first, second}, -1).narrow(1, 1, 3)), bound);
    EXPECT_EQ(distance(halves.select(1, 0), both.select(1, 0)), 0) << "its neighbours are left alone";
    rotate(pairs, angles.cos(), angles.sin(), RotaryLayout::interleaved);
    EXPECT_LT(distance(pairs, at::stack({first, second}, -1).flatten(-2)), bound);
  }
}

TEST(SiluTimes, gates_the_second_half) {
  const at::Tensor both = at::randn({3, 10});
  const at::Tensor gate = both.narrow(1, 0, 5), up = both.narrow(1, 5, 5);
  const at::Tensor expected = gate * gate.sigmoid() * up;
  EXPECT_LT(distance(gated(both, Activation::silu), expected), Precision{at::kFloat}.bound);
}

TEST(Linear, any_number_of_rows_gives_each_row_its_product) {
  const at::Tensor weight = at::randn({27, 45}), bias = at::randn({27}), all = at::randn({30, 60});
  const at::Tensor x = all.narrow(1, 7, 45);  // rows lie further apart than they are long
  const at::Tensor expected = at::matmul(x.to(at::kDouble), weight.to(at::kDouble).t());
  const at::Tensor together = skinny_gemm(x, weight);
  const double tolerance = 4 * std::sqrt(45.0) * rounding_of_sum(45);  // of 45 products of normal numbers
  for (std::int64_t rows = 1; rows <= x.size(0); ++rows) {
    const at::Tensor some = x.narrow(0, 0, rows);
    for (const Products products : {Products::packed, Products::streamed}) {
      const at::Tensor plain = linear(some, weight, {}, products), with_bias = linear(some, weight, bias, products);
      EXPECT_TRUE(plain.is_contiguous() && with_bias.is_contiguous()) << rows;
      EXPECT_LT(distance(plain, expected.narrow(0, 0, rows)), tolerance) << rows;
      EXPECT_LT(distance(with_bias, plain + bias), tolerance) << rows;
    }
    EXPECT_TRUE(skinny_gemm(some, weight).equal(together.narrow(0, 0, rows))) << "to the bit, of " << rows;
  }
}

}  // namespace
}  // namespace proctor
