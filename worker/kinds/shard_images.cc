#include "worker/kinds/shard_images.h"

#include <algorithm>

#include "sharding/images/image_layout.h"
#include "sharding/protocol/error.h"
#include "worker/images/image_file.h"

namespace proctor {
namespace {

/// Of a place among its features: rows of what turns queries and keys, where the family has such.
std::pair<std::int64_t, std::int64_t> shape_of(const ImageLayout& layout, const VisionFacts& facts) {
  if (facts.cutting != VisionFacts::Cutting::grid) return {1, layout.tokens};
  return {layout.grid_height / facts.merge, layout.grid_width / facts.merge};
}

}  // namespace

ShardImages::ShardImages(std::span<const Request> requests, const ImageProcessor& processor, std::int64_t vocabulary)
    : spans_(vocabulary) {
  std::map<std::string, const Image*> distinct;
  for (const Request& request : requests)
    for (const Part& part : request.parts)
      if (const auto* image = std::get_if<Image>(&part)) distinct.emplace(image->hash, image);
  for (const auto& [hash, image] : distinct) {
    Found& found = by_hash_[hash];
    try {
      ImageInput input = make_input(processor, read_image(*image, processor.facts.upright));
      const auto [rows, columns] = shape_of(input.layout, processor.facts);
      spans_.add(input.layout.tokens, rows, columns);
      found.index = inputs_.size();
      inputs_.push_back(std::move(input));
    } catch (const InputError& error) {
      found.error = error.what();
    }
  }
}

std::size_t ShardImages::index_of(const Image& image) const {
  const Found& found = by_hash_.at(image.hash);
  if (!found.error.empty()) throw InputError(found.error);
  return found.index;
}

ImageText::ImageText(std::span<const Part> parts, const ShardImages& images, const VisionFacts& facts)
    : shard_(images), facts_(facts) {
  for (const Part& part : parts) {
    if (const auto* image = std::get_if<Image>(&part)) {
      images_.push_back(images.index_of(*image));
      text_ += text_of_image(facts, images.inputs()[images_.back()].layout);
    } else {
      text_ += std::get<Text>(part);
    }
  }
}

void ImageText::number(Tokens& ids) const {
  if (images_.empty()) return;
  Tokens numbers;
  for (const std::size_t image : images_) {
    const ImageSpan& span = shard_.spans().all()[image];
    for (std::int64_t i = 0; i < span.tokens; ++i) numbers.push_back(span.first + static_cast<TokenId>(i));
  }
  const auto places = static_cast<std::size_t>(std::ranges::count(ids, facts_.token_id));
  if (places != numbers.size())
    throw InputError("the prompt has " + std::to_string(places) + " tokens " + facts_.token + ", its images " +
                     std::to_string(numbers.size()) + " rows of features; does its text hold that token?");
  std::size_t next = 0;
  for (TokenId& id : ids)
    if (id == facts_.token_id) id = numbers[next++];
}

}  // namespace proctor
