#include "worker/images/processor.h"

#include <algorithm>

#include "worker/images/resize.h"
#include "worker/images/value_table.h"

namespace proctor {
namespace {

using Cutting = VisionFacts::Cutting;

struct Box {
  std::int64_t top, left, height, width;
};

/// Channels first; a still image's frames are alike.
void append_box(const Picture& picture, const Box& box, const ValueTable& table, std::vector<float>& values,
                std::int64_t frames = 1) {
  for (std::size_t channel = 0; channel < 3; ++channel)
    for (std::int64_t frame = 0; frame < frames; ++frame)
      for (std::int64_t y = box.top; y < box.top + box.height; ++y) {
        const std::uint8_t* from = picture.row(y) + 3 * box.left + channel;
        for (std::int64_t x = 0; x < box.width; ++x) values.push_back(table[channel][from[3 * x]]);
      }
}

void append_whole(const Picture& picture, const ValueTable& table, std::vector<float>& values) {
  append_box(picture, {0, 0, picture.height, picture.width}, table, values);
}

/// Row by row.
void append_tiles(const Picture& picture, std::int64_t side, const ValueTable& table, std::vector<float>& values) {
  for (std::int64_t y = 0; y < picture.height; y += side)
    for (std::int64_t x = 0; x < picture.width; x += side) append_box(picture, {y, x, side, side}, table, values);
}

void append_grid(const Picture& picture, const ImageProcessor& processor, const ValueTable& table,
                 std::vector<float>& values) {
  const std::int64_t patch = processor.facts.patch, merge = processor.facts.merge, token = patch * merge;
  for (std::int64_t top = 0; top < picture.height; top += token)
    for (std::int64_t left = 0; left < picture.width; left += token)
      for (std::int64_t i = 0; i < merge * merge; ++i)
        append_box(picture, {top + i / merge * patch, left + i % merge * patch, patch, patch}, table, values,
                   processor.frames);
}

/// Black around it, as much on one side as on the other.
Picture on_canvas(const Picture& picture, std::int64_t height, std::int64_t width) {
  Picture canvas(height, width);
  const std::int64_t top = (height - picture.height) / 2, left = (width - picture.width) / 2;
  for (std::int64_t y = 0; y < picture.height; ++y)
    std::copy_n(picture.row(y), 3 * picture.width, canvas.row(top + y) + 3 * left);
  return canvas;
}

Box middle_of(const Picture& picture, const VisionFacts& facts) {
  return {(picture.height - facts.crop_height) / 2, (picture.width - facts.crop_width) / 2, facts.crop_height,
          facts.crop_width};
}

std::size_t count_values(const ImageProcessor& processor, const ImageLayout& layout) {
  const VisionFacts& facts = processor.facts;
  std::int64_t pixels = layout.tiles * facts.side * facts.side;
  if (facts.cutting == Cutting::crop) pixels = facts.crop_height * facts.crop_width;
  if (facts.cutting == Cutting::grid) pixels = layout.patches * facts.patch * facts.patch * processor.frames;
  return static_cast<std::size_t>(3 * pixels);
}

}  // namespace

ImageInput make_input(const ImageProcessor& processor, const Picture& picture) {
  const VisionFacts& facts = processor.facts;
  ImageInput input{layout_of(facts, picture.height, picture.width), {}};
  const ImageLayout& layout = input.layout;
  const ValueTable table = make_value_table(processor);
  const auto resize = [&](const Picture& from, std::int64_t height, std::int64_t width) {
    return resized(from, height, width, processor.resample, processor.resizing);
  };
  input.values.reserve(count_values(processor, layout));
  const bool is_resized_twice = facts.cutting == Cutting::splits;
  Picture full = is_resized_twice ? resize(picture, layout.first_height, layout.first_width) : Picture();
  full = resize(is_resized_twice ? full : picture, layout.resized_height, layout.resized_width);
  switch (facts.cutting) {
    case Cutting::none:
      break;
    case Cutting::crop:
      append_box(full, middle_of(full, facts), table, input.values);
      break;
    case Cutting::square:
      append_whole(full, table, input.values);
      break;
    case Cutting::grid:
      append_grid(full, processor, table, input.values);
      break;
    case Cutting::pinpoints:
    case Cutting::pinpoints_pooled:
      append_whole(resize(picture, facts.side, facts.side), table, input.values);
      append_tiles(on_canvas(full, layout.canvas_height, layout.canvas_width), facts.side, table, input.values);
      break;
    case Cutting::splits:
      append_tiles(full, facts.side, table, input.values);
      if (layout.whole) append_whole(resize(full, facts.side, facts.side), table, input.values);
      break;
    case Cutting::ratio:
      append_tiles(full, facts.side, table, input.values);
      if (layout.whole) append_whole(resize(picture, facts.side, facts.side), table, input.values);
      break;
  }
  return input;
}

}  // namespace proctor
