// The images of a shard: each distinct one read, prepared and given ids once, in the order of their hashes, so that
// rows are a function of the shard alone. Made on the thread that makes rows ahead. Includes no torch.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "sharding/protocol/request.h"
#include "worker/batching/image_spans.h"
#include "worker/checkpoint/image_processor.h"
#include "worker/images/image_input.h"

namespace proctor {

class ShardImages {
 public:
  ShardImages() = default;
  /// vocabulary: of the whole model. What is wrong with an image is kept for the requests that ask for it.
  ShardImages(std::span<const Request> requests, const ImageProcessor& processor, std::int64_t vocabulary);

  bool empty() const { return inputs_.empty(); }
  const ImageSpans& spans() const { return spans_; }
  /// What the tower takes, image by image in the order of the spans.
  const std::vector<ImageInput>& inputs() const { return inputs_; }
  /// Which of them it is. Throws InputError for one that could not be prepared.
  std::size_t index_of(const Image& image) const;

 private:
  struct Found {
    std::size_t index = 0;
    std::string error;
  };
  std::map<std::string, Found> by_hash_;
  std::vector<ImageInput> inputs_;
  ImageSpans spans_;
};

/// Ids of a text with images in it, as its processor expands them, with each image's own ids where its tokens stood.
/// Throws InputError for an image as above, and where the text itself has such tokens.
class ImageText {
 public:
  ImageText(std::span<const Part> parts, const ShardImages& images, const VisionFacts& facts);
  const std::string& text() const { return text_; }
  /// Puts the images' ids in place of the tokens that stand for them.
  void number(Tokens& ids) const;
  bool has_images() const { return !images_.empty(); }
  /// The token that number() replaces, which the model need not have; -1: none.
  TokenId placeholder() const { return has_images() ? facts_.token_id : -1; }

 private:
  const ShardImages& shard_;
  const VisionFacts& facts_;
  std::string text_;
  std::vector<std::size_t> images_;  // in their order
};

}  // namespace proctor
