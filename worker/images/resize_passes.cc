#include "worker/images/resize_passes.h"

#include <algorithm>
#include <array>

#include "worker/images/also_for_avx2.h"

namespace proctor {
namespace {

using Span = Weights<std::int32_t>::Span;

constexpr std::int64_t kLanes = 16;    // picture rows that a pass along rows computes at once
constexpr std::int64_t kStretch = 64;  // bytes of a row that a pass along columns sums at once

std::uint8_t clipped(std::int32_t sum, int bits) { return static_cast<std::uint8_t>(std::clamp(sum >> bits, 0, 255)); }

/// lanes: [positions, 3, kLanes], a block of rows side by side. sums: [3, kLanes].
PROCTOR_ALSO_FOR_AVX2
void sum_lanes(const std::uint8_t* lanes, const std::int32_t* weights, std::int64_t count, std::int32_t half,
               std::int32_t* sums) {
  constexpr std::int64_t kAll = 3 * kLanes;
  std::int32_t total[kAll];
  for (std::int64_t j = 0; j < kAll; ++j) total[j] = half;
  for (std::int64_t k = 0; k < count; ++k)
    for (std::int64_t j = 0; j < kAll; ++j) total[j] += weights[k] * lanes[k * kAll + j];
  for (std::int64_t j = 0; j < kAll; ++j) sums[j] = total[j];
}

/// rows: the first of `count` rows of `stride` bytes each. to: kStretch bytes of their sum.
PROCTOR_ALSO_FOR_AVX2
void sum_rows(const std::uint8_t* rows, std::int64_t stride, const std::int32_t* weights, std::int64_t count, int bits,
              std::uint8_t* to) {
  std::int32_t total[kStretch];
  for (std::int64_t j = 0; j < kStretch; ++j) total[j] = 1 << (bits - 1);
  for (std::int64_t k = 0; k < count; ++k, rows += stride)
    for (std::int64_t j = 0; j < kStretch; ++j) total[j] += weights[k] * rows[j];
  for (std::int64_t j = 0; j < kStretch; ++j) {
    const std::int32_t value = total[j] >> bits;
    to[j] = static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
  }
}

/// One byte of it.
std::uint8_t sum_byte(const std::uint8_t* rows, std::int64_t stride, const std::int32_t* weights, std::int64_t count,
                      int bits) {
  std::int32_t total = 1 << (bits - 1);
  for (std::int64_t k = 0; k < count; ++k) total += weights[k] * rows[k * stride];
  return clipped(total, bits);
}

void lay_side_by_side(const Picture& picture, std::int64_t first, std::int64_t rows, std::vector<std::uint8_t>& lanes) {
  const std::int64_t stride = 3 * picture.width;
  const std::uint8_t* from = picture.row(first);
  std::uint8_t* to = lanes.data();
  for (std::int64_t j = 0; j < stride; ++j, ++from, to += kLanes)
    for (std::int64_t r = 0; r < rows; ++r) to[r] = from[r * stride];
}

}  // namespace

Picture resized_rows(const Picture& picture, const Weights<std::int32_t>& weights, int bits) {
  Picture out(picture.height, static_cast<std::int64_t>(weights.spans.size()));
  std::vector<std::uint8_t> lanes(static_cast<std::size_t>(picture.width * 3 * kLanes));
  std::array<std::int32_t, 3 * kLanes> sums;
  for (std::int64_t first = 0; first < picture.height; first += kLanes) {
    const std::int64_t rows = std::min(kLanes, picture.height - first);
    lay_side_by_side(picture, first, rows, lanes);
    for (std::int64_t x = 0; x < out.width; ++x) {
      const Span& span = weights.spans[static_cast<std::size_t>(x)];
      sum_lanes(lanes.data() + span.first * 3 * kLanes, weights.of(span), span.count, 1 << (bits - 1), sums.data());
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t channel = 0; channel < 3; ++channel)
          out.row(first + r)[3 * x + channel] = clipped(sums[static_cast<std::size_t>(channel * kLanes + r)], bits);
    }
  }
  return out;
}

Picture resized_columns(const Picture& picture, const Weights<std::int32_t>& weights, int bits) {
  Picture out(static_cast<std::int64_t>(weights.spans.size()), picture.width);
  const std::int64_t stride = 3 * picture.width;
  for (std::int64_t y = 0; y < out.height; ++y) {
    const Span& span = weights.spans[static_cast<std::size_t>(y)];
    std::int64_t at = 0;
    for (; at + kStretch <= stride; at += kStretch)
      sum_rows(picture.row(span.first) + at, stride, weights.of(span), span.count, bits, out.row(y) + at);
    for (; at < stride; ++at)
      out.row(y)[at] = sum_byte(picture.row(span.first) + at, stride, weights.of(span), span.count, bits);
  }
  return out;
}

}  // namespace proctor
