#include "worker/images/resize_floats.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "worker/images/also_for_avx2.h"

namespace proctor {
namespace {

/// [height, width, 3]
struct FloatPicture {
  std::int64_t height, width;
  std::vector<float> values;

  FloatPicture(std::int64_t height, std::int64_t width)
      : height(height), width(width), values(static_cast<std::size_t>(height * width * 3)) {}
  float* row(std::int64_t y) { return values.data() + y * width * 3; }
  const float* row(std::int64_t y) const { return values.data() + y * width * 3; }
};

/// ATen's loop over a position's weights, as its builds are vectorised: behind the first product four at a time, each
/// rounded before it is added, and the last ones by fused multiply-adds.
std::int64_t count_rounded(std::int64_t count) { return (count - 1) / 4 * 4; }

/// to: [positions, 3].
PROCTOR_ALSO_FOR_FMA
void sum_along(const std::uint8_t* row, const Weights<float>& weights, float* to) {
  for (const auto& span : weights.spans)
    for (std::int64_t channel = 0; channel < 3; ++channel) {
      const std::uint8_t* from = row + 3 * span.first + channel;
      const float* weight = weights.of(span);
      float sum = static_cast<float>(from[0]) * weight[0];
      std::int64_t k = 1;
      for (; k <= count_rounded(span.count); ++k) sum += static_cast<float>(from[3 * k]) * weight[k];
      for (; k < span.count; ++k) sum = std::fma(static_cast<float>(from[3 * k]), weight[k], sum);
      *to++ = sum;
    }
}

PROCTOR_ALSO_FOR_FMA
void add_rounded(const float* from, float weight, std::size_t count, float* sums) {
  for (std::size_t j = 0; j < count; ++j) sums[j] += from[j] * weight;
}

PROCTOR_ALSO_FOR_FMA
void add_fused(const float* from, float weight, std::size_t count, float* sums) {
  for (std::size_t j = 0; j < count; ++j) sums[j] = std::fma(from[j], weight, sums[j]);
}

FloatPicture resized_rows(const Picture& picture, const Weights<float>& weights) {
  FloatPicture out(picture.height, static_cast<std::int64_t>(weights.spans.size()));
  for (std::int64_t y = 0; y < out.height; ++y) sum_along(picture.row(y), weights, out.row(y));
  return out;
}

/// One row of the result, in float32.
void sum_rows(const FloatPicture& picture, const Weights<float>& weights, const Weights<float>::Span& span,
              std::vector<float>& sums) {
  const float* weight = weights.of(span);
  for (std::size_t j = 0; j < sums.size(); ++j) sums[j] = picture.row(span.first)[j] * weight[0];
  for (std::int64_t k = 1; k < span.count; ++k)
    (k <= count_rounded(span.count) ? add_rounded : add_fused)(picture.row(span.first + k), weight[k], sums.size(),
                                                               sums.data());
}

}  // namespace

Picture resized_in_floats(const Picture& picture, std::int64_t height, std::int64_t width, Resample resample) {
  const FloatPicture wide = resized_rows(picture, weights_in_float(picture.width, width, resample));
  const Weights<float> weights = weights_in_float(picture.height, height, resample);
  Picture out(height, width);
  std::vector<float> sums(static_cast<std::size_t>(width * 3));
  for (std::int64_t y = 0; y < height; ++y) {
    sum_rows(wide, weights, weights.spans[static_cast<std::size_t>(y)], sums);
    std::uint8_t* to = out.row(y);
    for (const float sum : sums) *to++ = static_cast<std::uint8_t>(std::nearbyint(std::clamp(sum, 0.0F, 255.0F)));
  }
  return out;
}

}  // namespace proctor
