// Images in rows of tokens: each distinct image of a shard has ids of its own past the vocabulary, one a feature, so
// that rows share an image's keys and values as they share any beginning. Includes no torch.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sharding/protocol/tokens.h"

namespace proctor {

struct ImageSpan {
  TokenId first = 0;
  std::int64_t tokens = 0;
  std::int64_t rows = 0, columns = 0;  ///< of features, where a place among them turns keys and queries
};

class ImageSpans {
 public:
  /// vocabulary: of the whole model; the first id past it is the first image's.
  explicit ImageSpans(std::int64_t vocabulary = 0) : next_(static_cast<TokenId>(vocabulary)) {}

  /// Behind those that are there. Throws InputError where there are no more ids.
  const ImageSpan& add(std::int64_t tokens, std::int64_t rows, std::int64_t columns);
  bool empty() const { return spans_.empty(); }
  const std::vector<ImageSpan>& all() const { return spans_; }
  /// The image that the id is of; null for a text's.
  const ImageSpan* find(TokenId id) const;

 private:
  TokenId next_;
  std::vector<ImageSpan> spans_;
};

/// Three positions of a token: a text's are equal; an image's are those of the image, and that plus row and column
/// (Qwen2-VL, arXiv:2409.12191, section 2.1).
using Place = std::array<std::int32_t, 3>;

/// Walks along a row.
class PlaceCounter {
 public:
  explicit PlaceCounter(const ImageSpans& spans) : spans_(&spans) {}
  Place next(TokenId id);
  /// Of the token that follows, where it is a text's.
  std::int32_t count() const { return count_; }

 private:
  const ImageSpans* spans_;
  std::int32_t count_ = 0;
};

/// Of every token of a row, behind which its next one lies at `count`.
std::int32_t count_behind(std::span<const TokenId> row, const ImageSpans& spans);

}  // namespace proctor
