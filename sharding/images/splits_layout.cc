// Idefics 3 and SmolVLM: get_resize_output_image_size and resize_for_vision_encoder of transformers'
// image_processing_idefics3.py.
#include <algorithm>
#include <cmath>

#include "sharding/images/layouts.h"

namespace proctor {
namespace {

constexpr std::int64_t kLongestOfAll = 4096;

std::int64_t whole_part(double value) { return static_cast<std::int64_t>(value); }

/// The longer side to `longest`, the other even.
void fit_longest(std::int64_t longest, ImageLayout& layout) {
  const double ratio = static_cast<double>(layout.width) / static_cast<double>(layout.height);
  std::int64_t height = longest, width = longest;
  if (layout.width >= layout.height) {
    height = whole_part(static_cast<double>(longest) / ratio);
    height += height % 2;
  } else {
    width = whole_part(static_cast<double>(longest) * ratio);
    width += width % 2;
  }
  layout.first_height = std::max<std::int64_t>(height, 1), layout.first_width = std::max<std::int64_t>(width, 1);
}

void bound_longest(ImageLayout& layout) {
  const double ratio = static_cast<double>(layout.first_width) / static_cast<double>(layout.first_height);
  if (std::max(layout.first_height, layout.first_width) <= kLongestOfAll) return;
  if (layout.first_width >= layout.first_height) {
    layout.first_width = kLongestOfAll;
    layout.first_height = std::max<std::int64_t>(whole_part(kLongestOfAll / ratio), 1);
  } else {
    layout.first_height = kLongestOfAll;
    layout.first_width = std::max<std::int64_t>(whole_part(kLongestOfAll * ratio), 1);
  }
}

/// Both sides up to multiples of a tile's.
void fit_tiles(std::int64_t side, ImageLayout& layout) {
  const double ratio = static_cast<double>(layout.first_width) / static_cast<double>(layout.first_height);
  const auto up = [&](std::int64_t length) { return (length + side - 1) / side * side; };
  if (layout.first_width >= layout.first_height) {
    layout.resized_width = up(layout.first_width);
    layout.resized_height = up(whole_part(static_cast<double>(layout.resized_width) / ratio));
  } else {
    layout.resized_height = up(layout.first_height);
    layout.resized_width = up(whole_part(static_cast<double>(layout.resized_height) * ratio));
  }
}

}  // namespace

void lay_out_splits(const VisionFacts& facts, ImageLayout& layout) {
  fit_longest(facts.longest, layout);
  bound_longest(layout);
  if (facts.cuts)
    fit_tiles(facts.side, layout);
  else
    layout.resized_height = layout.resized_width = facts.side;
  if (layout.resized_height > facts.side || layout.resized_width > facts.side) {
    layout.rows = layout.resized_height / facts.side, layout.columns = layout.resized_width / facts.side;
    layout.whole = true;
    layout.tiles = layout.rows * layout.columns + 1;
  }
  layout.patches = layout.tiles * (facts.side / facts.patch) * (facts.side / facts.patch);
  layout.tokens = layout.tiles * facts.tile_tokens;
}

}  // namespace proctor
