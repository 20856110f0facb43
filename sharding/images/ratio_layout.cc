// InternVL: get_optimal_tiled_canvas of transformers' image_processing_got_ocr2.py.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "sharding/images/layouts.h"

namespace proctor {
namespace {

struct Tiling {
  std::int64_t columns, rows;
  std::int64_t tiles() const { return columns * rows; }
};

/// Fewest tiles first, then fewest columns.
std::vector<Tiling> tilings(std::int64_t least, std::int64_t most) {
  std::vector<Tiling> all;
  for (std::int64_t columns = 1; columns <= most; ++columns)
    for (std::int64_t rows = 1; rows <= most / columns; ++rows)
      if (columns * rows >= least) all.push_back({columns, rows});
  std::ranges::stable_sort(all, {}, &Tiling::tiles);
  return all;
}

/// The nearest ratio; of two as near, more tiles, as long as the image has half their pixels.
Tiling nearest_ratio(const VisionFacts& facts, const ImageLayout& layout) {
  const double ratio = static_cast<double>(layout.width) / static_cast<double>(layout.height);
  const auto area = static_cast<double>(layout.width * layout.height);
  Tiling best{1, 1};
  double least = std::numeric_limits<double>::infinity();
  for (const Tiling& tiling : tilings(facts.min_tiles, facts.max_tiles)) {
    const double apart = std::abs(ratio - static_cast<double>(tiling.columns) / static_cast<double>(tiling.rows));
    const bool is_large = area > 0.5 * static_cast<double>(facts.side * facts.side * tiling.tiles());
    if (apart < least || (apart == least && is_large)) best = tiling;
    least = std::min(least, apart);
  }
  return best;
}

}  // namespace

void lay_out_ratio(const VisionFacts& facts, ImageLayout& layout) {
  const Tiling tiling = nearest_ratio(facts, layout);
  layout.rows = tiling.rows, layout.columns = tiling.columns;
  layout.resized_height = layout.rows * facts.side, layout.resized_width = layout.columns * facts.side;
  layout.whole = tiling.tiles() > 1;
  layout.tiles = tiling.tiles() + (layout.whole ? 1 : 0);
  layout.patches = layout.tiles * (facts.side / facts.patch) * (facts.side / facts.patch);
  layout.tokens = layout.tiles * facts.tile_tokens;
}

}  // namespace proctor
