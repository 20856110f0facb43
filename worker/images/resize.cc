#include "worker/images/resize.h"

#include <algorithm>
#include <cmath>

#include "worker/images/resize_floats.h"
#include "worker/images/resize_passes.h"

namespace proctor {
namespace {

/// Pillow adds the step up, position by position (libImaging/Geometry.c, ImagingScaleAffine).
std::vector<std::int64_t> nearest_of_pillow(std::int64_t in, std::int64_t out) {
  std::vector<std::int64_t> positions;
  const double step = static_cast<double>(in) / static_cast<double>(out);
  double at = step * 0.5;
  for (std::int64_t i = 0; i < out; ++i, at += step)
    positions.push_back(std::min(static_cast<std::int64_t>(at), in - 1));
  return positions;
}

/// torchvision's NEAREST_EXACT: ATen's HelperInterpNearestExact in float32, compiled with contractions.
std::vector<std::int64_t> nearest_of_aten(std::int64_t in, std::int64_t out) {
  std::vector<std::int64_t> positions;
  const float step = static_cast<float>(in) / static_cast<float>(out);
  for (std::int64_t i = 0; i < out; ++i) {
    const float at = std::max(std::fma(step, static_cast<float>(i) + 0.5F, -0.5F), 0.0F);
    positions.push_back(std::min(static_cast<std::int64_t>(at + 0.5F), in - 1));
  }
  return positions;
}

Picture picked(const Picture& picture, const std::vector<std::int64_t>& rows,
               const std::vector<std::int64_t>& columns) {
  Picture out(static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(columns.size()));
  std::uint8_t* to = out.rgb.data();
  for (const std::int64_t row : rows)
    for (const std::int64_t column : columns) to = std::copy_n(picture.row(row) + 3 * column, 3, to);
  return out;
}

/// Pillow 11 and 12, of an image that is more than so many times as high as wide and loses height (Image.resize).
bool goes_down_first(const Picture& picture, std::int64_t height, Resizing resizing) {
  constexpr std::int64_t kTall = 100;
  return resizing == Resizing::pillow && picture.height > kTall * picture.width && height < picture.height;
}

/// Horizontally first, but for very tall images; a pass that changes no size is left out, as in both libraries.
Picture resized_in_integers(const Picture& picture, std::int64_t height, std::int64_t width, Resample resample,
                            Resizing resizing) {
  const auto pass = [&](const Picture& from, std::int64_t in, std::int64_t out, auto resize) {
    const Weights<double> weights = weights_in_double(in, out, resample);
    const int bits = resizing == Resizing::pillow ? kPillowBits : bits_for_int16(weights);
    return resize(from, in_fixed_point(weights, bits), bits);
  };
  if (picture.width == width) return pass(picture, picture.height, height, resized_columns);
  if (goes_down_first(picture, height, resizing))
    return pass(pass(picture, picture.height, height, resized_columns), picture.width, width, resized_rows);
  const Picture wide = pass(picture, picture.width, width, resized_rows);
  return picture.height == height ? wide : pass(wide, picture.height, height, resized_columns);
}

}  // namespace

Picture resized(const Picture& picture, std::int64_t height, std::int64_t width, Resample resample, Resizing resizing) {
  if (picture.height == height && picture.width == width) return picture;
  if (resample == Resample::nearest) {
    const auto positions = resizing == Resizing::pillow ? nearest_of_pillow : nearest_of_aten;
    return picked(picture, positions(picture.height, height), positions(picture.width, width));
  }
  if (resizing == Resizing::aten_floats) return resized_in_floats(picture, height, width, resample);
  return resized_in_integers(picture, height, width, resample, resizing);
}

}  // namespace proctor
