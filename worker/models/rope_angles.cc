#include "worker/models/rope_angles.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace proctor {
namespace {

/// Llama 3.1's: long wave lengths divided by the factor, short ones kept, smoothly between.
at::Tensor scale_llama3(const at::Tensor& inverse, const Rope& s) {
  const at::Tensor wave = 2 * std::numbers::pi / inverse;
  const double low = s.original_max_position / s.low_freq_factor, high = s.original_max_position / s.high_freq_factor;
  const at::Tensor scaled = at::where(wave > low, inverse / s.factor, inverse);
  const at::Tensor smooth =
      (s.original_max_position / wave - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  const at::Tensor between = (1 - smooth) * scaled / s.factor + smooth * scaled;
  return at::where((wave >= high).logical_and(wave <= low), between, scaled);
}

/// YaRN (Peng et al. 2024, arXiv:2309.00071): dimensions that turn often within the original length are kept, those
/// that turn seldom are divided by the factor, in a ramp between.
at::Tensor scale_yarn(const at::Tensor& powers, const Rope& s) {
  const auto dimension_of = [&](double turns) {
    return static_cast<double>(s.width) * std::log(s.original_max_position / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(s.theta));
  };
  double low = dimension_of(s.beta_fast), high = dimension_of(s.beta_slow);
  if (s.truncates) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(s.width - 1));
  if (low == high) high += 0.001;
  const at::Tensor ramp = ((at::arange(0, s.width / 2, 1, at::kFloat) - low) / (high - low)).clamp(0, 1);
  return 1.0 / (powers * s.factor) * ramp + 1.0 / powers * (1 - ramp);
}

}  // namespace

at::Tensor rope_inverse_frequencies(const Rope& rope) {
  const at::Tensor exponent = at::arange(0, rope.width, 2, at::kFloat) / static_cast<double>(rope.width);
  const at::Tensor powers = at::pow(rope.theta, exponent);
  switch (rope.scaling) {
    case Rope::Scaling::linear:
      return 1.0 / powers / rope.factor;
    case Rope::Scaling::llama3:
      return scale_llama3(1.0 / powers, rope);
    case Rope::Scaling::yarn:
      return scale_yarn(powers, rope);
    case Rope::Scaling::longrope:
      return 1.0 / (at::tensor(rope.factors, at::kFloat) * powers);
    case Rope::Scaling::none:
      break;
  }
  return 1.0 / powers;
}

Rope of_long_texts(Rope rope) {
  rope.factors = rope.long_factors;
  if (rope.scaling == Rope::Scaling::longrope) rope.attention_factor = rope.long_attention_factor;
  return rope;
}

namespace {

/// Which of the three positions turns each frequency: [width / 2], int64.
at::Tensor turned_by(const Rope& rope) {
  std::vector<std::int64_t> which(static_cast<std::size_t>(rope.width / 2), 0);
  const auto cut = [&](std::size_t section) { return rope.sections[section]; };
  for (std::int64_t i = 0; i < rope.width / 2; ++i) {
    std::int64_t& one = which[static_cast<std::size_t>(i)];
    if (!rope.interleaves_sections)
      one = i < cut(0) ? 0 : i < cut(0) + cut(1) ? 1 : 2;
    else if (i % 3 != 0 && i < 3 * cut(static_cast<std::size_t>(i % 3)))
      one = i % 3;
  }
  return at::tensor(which, at::kLong);
}

Angles scaled(const at::Tensor& turns, const Rope& rope) {
  if (rope.attention_factor == 1) return {turns.cos(), turns.sin()};
  return {turns.cos() * rope.attention_factor, turns.sin() * rope.attention_factor};
}

}  // namespace

Angles angles_of_places(std::span<const std::array<std::int32_t, 3>> places, const at::Tensor& inverse_frequencies,
                        const Rope& rope) {
  std::vector<float> positions;
  for (const auto& place : places)
    for (const std::int32_t position : place) positions.push_back(static_cast<float>(position));
  const at::Tensor each = at::tensor(positions, at::kFloat).view({-1, 3}).to(inverse_frequencies.device());
  const at::Tensor of_frequency = each.index_select(1, turned_by(rope).to(each.device()));  // [tokens, width / 2]
  return scaled(of_frequency * inverse_frequencies, rope);
}

Angles angles_of(const at::Tensor& positions, const at::Tensor& inverse_frequencies, const Rope& rope) {
  return scaled(at::outer(positions, inverse_frequencies), rope);
}

}  // namespace proctor
