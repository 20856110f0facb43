// LLaVA-NeXT and LLaVA-OneVision: select_best_resolution of transformers' image_processing_utils.py, and
// _get_number_of_features of processing_llava_next.py and processing_llava_onevision.py.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <tuple>
#include <utility>

#include "sharding/images/layouts.h"

namespace proctor {
namespace {

std::pair<std::int64_t, std::int64_t> best_pinpoint(const VisionFacts& facts, const ImageLayout& layout) {
  const auto height = static_cast<double>(layout.height), width = static_cast<double>(layout.width);
  std::pair<std::int64_t, std::int64_t> best;
  std::int64_t most = 0, least_wasted = std::numeric_limits<std::int64_t>::max();
  for (const auto& [rows, columns] : facts.pinpoints) {
    const double scale = std::min(static_cast<double>(columns) / width, static_cast<double>(rows) / height);
    const auto fitted = static_cast<std::int64_t>(width * scale) * static_cast<std::int64_t>(height * scale);
    const std::int64_t effective = std::min(fitted, layout.height * layout.width);
    const std::int64_t wasted = rows * columns - effective;
    if (effective > most || (effective == most && wasted < least_wasted))
      best = {rows, columns}, most = effective, least_wasted = wasted;
  }
  return best;
}

/// As much of the canvas as the image's ratio fills.
void fit(ImageLayout& layout) {
  const double scale_width = static_cast<double>(layout.canvas_width) / static_cast<double>(layout.width);
  const double scale_height = static_cast<double>(layout.canvas_height) / static_cast<double>(layout.height);
  const auto up = [](double side) { return static_cast<std::int64_t>(std::ceil(side)); };
  layout.resized_height = layout.canvas_height, layout.resized_width = layout.canvas_width;
  if (scale_width < scale_height)
    layout.resized_height = std::min(up(static_cast<double>(layout.height) * scale_width), layout.canvas_height);
  else
    layout.resized_width = std::min(up(static_cast<double>(layout.width) * scale_height), layout.canvas_width);
}

/// Python's int(round(value, 7)): printf rounds as exactly.
std::int64_t rounded_to_7(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.7f", value);
  return std::strtoll(text, nullptr, 10);
}

/// Features whose padding is taken off, as many on one side as on the other.
void keep_unpadded(ImageLayout& layout) {
  const auto height = static_cast<double>(layout.height), width = static_cast<double>(layout.width);
  const auto rows = static_cast<double>(layout.kept_rows), columns = static_cast<double>(layout.kept_columns);
  if (width / height > columns / rows)
    layout.kept_rows -= (layout.kept_rows - rounded_to_7(height * (columns / width))) / 2 * 2;
  else
    layout.kept_columns -= (layout.kept_columns - rounded_to_7(width * (rows / height))) / 2 * 2;
}

/// Python's value // divisor: floor(value / divisor) would round the quotient first.
std::int64_t floor_divided(double value, double divisor) {
  return std::llround((value - std::fmod(value, divisor)) / divisor);
}

void pool(const VisionFacts& facts, ImageLayout& layout) {
  layout.pooled_rows = layout.kept_rows, layout.pooled_columns = layout.kept_columns;
  if (facts.cutting != VisionFacts::Cutting::pinpoints_pooled) return;
  const double most = static_cast<double>(facts.most_tiles * facts.tile_tokens * facts.tile_tokens);
  const double ratio = std::sqrt(static_cast<double>(layout.kept_rows * layout.kept_columns) / most);
  if (!(ratio > 1.1)) return;
  layout.pooled_rows = floor_divided(static_cast<double>(layout.kept_rows), ratio);
  layout.pooled_columns = floor_divided(static_cast<double>(layout.kept_columns), ratio);
}

}  // namespace

void lay_out_pinpoints(const VisionFacts& facts, ImageLayout& layout) {
  std::tie(layout.canvas_height, layout.canvas_width) = best_pinpoint(facts, layout);
  fit(layout);
  layout.rows = layout.canvas_height / facts.side, layout.columns = layout.canvas_width / facts.side;
  layout.whole = true;
  layout.tiles = layout.rows * layout.columns + 1;
  layout.patches = layout.tiles * (facts.side / facts.patch) * (facts.side / facts.patch);
  layout.kept_rows = layout.rows * facts.tile_tokens, layout.kept_columns = layout.columns * facts.tile_tokens;
  keep_unpadded(layout);
  pool(facts, layout);
  layout.tokens = facts.tile_tokens * facts.tile_tokens + layout.pooled_rows * (layout.pooled_columns + 1);
}

}  // namespace proctor
