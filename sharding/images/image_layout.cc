#include "sharding/images/image_layout.h"

#include <algorithm>
#include <cmath>

#include "sharding/images/image_header.h"
#include "sharding/images/layouts.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

std::string sides(std::int64_t height, std::int64_t width) {
  return std::to_string(width) + " x " + std::to_string(height);
}

void crop(const VisionFacts& facts, ImageLayout& layout) {
  const std::int64_t shorter = std::min(layout.height, layout.width), longer = std::max(layout.height, layout.width);
  const auto other = static_cast<std::int64_t>(static_cast<double>(facts.side * longer) / static_cast<double>(shorter));
  layout.resized_height = layout.height <= layout.width ? facts.side : other;
  layout.resized_width = layout.height <= layout.width ? other : facts.side;
  layout.patches = (facts.crop_height / facts.patch) * (facts.crop_width / facts.patch);
  layout.tokens = facts.tile_tokens;
}

void square(const VisionFacts& facts, ImageLayout& layout) {
  layout.resized_height = layout.resized_width = facts.side;
  layout.patches = (facts.side / facts.patch) * (facts.side / facts.patch);
  layout.tokens = facts.tile_tokens;
}

void check_resized(const ImageLayout& layout) {
  for (const auto& [height, width] : {std::pair(layout.resized_height, layout.resized_width),
                                      {layout.first_height, layout.first_width},
                                      {layout.canvas_height, layout.canvas_width}})
    if (height > 0 && width > kMaxPixels / height)
      throw InputError(sides(layout.height, layout.width) + " would be resized to " + sides(height, width) +
                       ", more than " + std::to_string(kMaxPixels) + " pixels");
  if (layout.resized_height < 1 || layout.resized_width < 1)
    throw InputError("the sides " + sides(layout.height, layout.width) +
                     " are too far apart for the model's image processor, or too small");
}

std::string repeat(const std::string& text, std::int64_t times) {
  std::string all;
  all.reserve(text.size() * static_cast<std::size_t>(times));
  for (std::int64_t i = 0; i < times; ++i) all += text;
  return all;
}

/// transformers' processing_idefics3.py, _prompt_split_image and _prompt_single_image.
std::string text_of_splits(const VisionFacts& facts, const ImageLayout& layout) {
  const std::string tile = repeat(facts.token, facts.tile_tokens);
  std::string text;
  for (std::int64_t row = 1; row <= layout.rows; ++row) {
    for (std::int64_t column = 1; column <= layout.columns; ++column)
      text += facts.opening + "<row_" + std::to_string(row) + "_col_" + std::to_string(column) + ">" + tile;
    text += "\n";
  }
  return text + (layout.rows > 0 ? "\n" : "") + facts.opening + "<global-img>" + tile + facts.closing;
}

}  // namespace

ImageLayout layout_of(const VisionFacts& facts, std::int64_t height, std::int64_t width) {
  PROCTOR_CHECK(facts.reads_images(), "a layout is asked for a model that reads images");
  if (height < 1 || width < 1) throw InputError("an image of " + sides(height, width) + " pixels");
  ImageLayout layout{.height = height, .width = width};
  switch (facts.cutting) {
    case VisionFacts::Cutting::none:
      break;
    case VisionFacts::Cutting::crop:
      crop(facts, layout);
      break;
    case VisionFacts::Cutting::square:
      square(facts, layout);
      break;
    case VisionFacts::Cutting::grid:
      lay_out_grid(facts, layout);
      break;
    case VisionFacts::Cutting::pinpoints:
    case VisionFacts::Cutting::pinpoints_pooled:
      lay_out_pinpoints(facts, layout);
      break;
    case VisionFacts::Cutting::splits:
      lay_out_splits(facts, layout);
      break;
    case VisionFacts::Cutting::ratio:
      lay_out_ratio(facts, layout);
      break;
  }
  check_resized(layout);
  return layout;
}

std::string text_of_image(const VisionFacts& facts, const ImageLayout& layout) {
  if (facts.cutting == VisionFacts::Cutting::splits) return text_of_splits(facts, layout);
  return facts.opening + repeat(facts.token, layout.tokens) + facts.closing;
}

}  // namespace proctor
