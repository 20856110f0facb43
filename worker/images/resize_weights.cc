#include "worker/images/resize_weights.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace proctor {
namespace {

template <class Real>
Real bilinear(Real x) {
  x = std::abs(x);
  return x < 1 ? 1 - x : Real{0};
}

/// Keys' cubic with a = -1/2, as Pillow writes it.
double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/// As ATen writes it, compiled with contractions.
float bicubic_of_aten(float x) {
  constexpr float a = -0.5F;
  x = std::abs(x);
  if (x < 1) return std::fma(std::fma(a + 2, x, -(a + 3)) * x, x, 1.0F);
  return x < 2 ? std::fma(std::fma(std::fma(a, x, -5 * a), x, 8 * a), x, -4 * a) : 0;
}

double sinc(double x) {
  if (x == 0) return 1;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos(double x) { return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0; }

double box(double x) { return x > -0.5 && x <= 0.5 ? 1 : 0; }

/// filter: of a distance in input positions, 0 beyond `support`. Where ATen's constants make a double of a float32,
/// this does.
template <class Real, class Filter>
Weights<Real> compute(std::int64_t in, std::int64_t out, Real support, const Filter& filter) {
  const Real scale = static_cast<Real>(in) / static_cast<Real>(out);
  const Real shrink = scale > 1 ? static_cast<Real>(1.0 / scale) : Real{1};
  if (scale > 1) support *= scale;
  Weights<Real> weights;
  for (std::int64_t i = 0; i < out; ++i) {
    const auto center = static_cast<Real>(scale * (static_cast<double>(i) + 0.5));
    const auto first = std::max<std::int64_t>(static_cast<std::int64_t>((center - support) + 0.5), 0);
    const auto last = std::min(static_cast<std::int64_t>((center + support) + 0.5), in);
    const std::size_t offset = weights.values.size();
    Real sum = 0;
    for (std::int64_t x = first; x < last; ++x) {
      weights.values.push_back(filter(static_cast<Real>(((static_cast<Real>(x) - center) + 0.5) * shrink)));
      sum += weights.values.back();
    }
    for (std::size_t k = offset; sum != 0 && k < weights.values.size(); ++k) weights.values[k] /= sum;
    weights.spans.push_back({first, last - first, offset});
  }
  return weights;
}

}  // namespace

Weights<double> weights_in_double(std::int64_t in, std::int64_t out, Resample resample) {
  switch (resample) {
    case Resample::bilinear:
      return compute(in, out, 1.0, bilinear<double>);
    case Resample::bicubic:
      return compute(in, out, 2.0, bicubic);
    case Resample::lanczos:
      return compute(in, out, 3.0, lanczos);
    case Resample::box:
    case Resample::nearest:
      break;
  }
  return compute(in, out, 0.5, box);
}

Weights<float> weights_in_float(std::int64_t in, std::int64_t out, Resample resample) {
  if (resample == Resample::bilinear) return compute(in, out, 1.0F, bilinear<float>);
  return compute(in, out, 2.0F, bicubic_of_aten);
}

Weights<std::int32_t> in_fixed_point(const Weights<double>& weights, int bits) {
  Weights<std::int32_t> fixed;
  for (const auto& [first, count, offset] : weights.spans) fixed.spans.push_back({first, count, offset});
  fixed.values.reserve(weights.values.size());
  for (const double value : weights.values)
    fixed.values.push_back(static_cast<std::int32_t>(value * (1 << bits) + (value < 0 ? -0.5 : 0.5)));
  return fixed;
}

int bits_for_int16(const Weights<double>& weights) {
  const double largest = weights.values.empty() ? 0 : *std::ranges::max_element(weights.values);
  int bits = 0;
  while (bits < kPillowBits && static_cast<int>(0.5 + largest * (1 << (bits + 1))) < (1 << 15)) ++bits;
  return bits;
}

}  // namespace proctor
