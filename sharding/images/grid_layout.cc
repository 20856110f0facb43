// Qwen2-VL and after: smart_resize of transformers' image_processing_qwen2_vl.py.
#include <algorithm>
#include <cmath>
#include <string>

#include "sharding/images/image_header.h"
#include "sharding/images/layouts.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr double kMaxRatio = 200;

struct Sides {
  std::int64_t height, width;
};

Sides smart_resize(const VisionFacts& facts, double height, double width) {
  const std::int64_t factor = facts.patch * facts.merge;
  const auto step = static_cast<double>(factor);
  const auto to_multiple = [&](double multiples) { return static_cast<std::int64_t>(multiples) * factor; };
  const Sides nearest{to_multiple(std::nearbyint(height / step)), to_multiple(std::nearbyint(width / step))};
  if (nearest.height * nearest.width > facts.max_pixels) {
    const double beta = std::sqrt(height * width / static_cast<double>(facts.max_pixels));
    return {std::max(factor, to_multiple(std::floor(height / beta / step))),
            std::max(factor, to_multiple(std::floor(width / beta / step)))};
  }
  if (nearest.height * nearest.width < facts.min_pixels) {
    const double beta = std::sqrt(static_cast<double>(facts.min_pixels) / (height * width));
    return {to_multiple(std::ceil(height * beta / step)), to_multiple(std::ceil(width * beta / step))};
  }
  return nearest;
}

}  // namespace

void lay_out_grid(const VisionFacts& facts, ImageLayout& layout) {
  const auto longer = static_cast<double>(std::max(layout.height, layout.width));
  const auto shorter = static_cast<double>(std::min(layout.height, layout.width));
  if (longer / shorter > kMaxRatio)
    throw InputError("one side is more than 200 times as long as the other (" + std::to_string(layout.width) + " x " +
                     std::to_string(layout.height) + "), which the model's image processor refuses");
  if (facts.min_pixels > kMaxPixels)
    throw InputError("min_pixels is " + std::to_string(facts.min_pixels) + "; at most " + std::to_string(kMaxPixels));
  const Sides resized = smart_resize(facts, static_cast<double>(layout.height), static_cast<double>(layout.width));
  layout.resized_height = resized.height, layout.resized_width = resized.width;
  layout.grid_height = resized.height / facts.patch, layout.grid_width = resized.width / facts.patch;
  layout.patches = layout.grid_height * layout.grid_width;
  layout.tokens = layout.patches / (facts.merge * facts.merge);
}

}  // namespace proctor
