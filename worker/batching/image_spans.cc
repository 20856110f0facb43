#include "worker/batching/image_spans.h"

#include <algorithm>
#include <limits>

#include "sharding/protocol/error.h"

namespace proctor {

const ImageSpan& ImageSpans::add(std::int64_t tokens, std::int64_t rows, std::int64_t columns) {
  if (tokens > std::numeric_limits<TokenId>::max() - next_)
    throw InputError("the images of a shard have more features than there are token ids");
  spans_.push_back({next_, tokens, rows, columns});
  next_ += static_cast<TokenId>(tokens);
  return spans_.back();
}

const ImageSpan* ImageSpans::find(TokenId id) const {
  const auto behind = std::ranges::upper_bound(spans_, id, {}, &ImageSpan::first);
  if (behind == spans_.begin()) return nullptr;
  const ImageSpan& span = *(behind - 1);
  return id < span.first + span.tokens ? &span : nullptr;
}

/// Of an image the count stays where it began until its last token.
Place PlaceCounter::next(TokenId id) {
  const ImageSpan* const image = spans_->find(id);
  if (!image) {
    const std::int32_t at = count_++;
    return {at, at, at};
  }
  const std::int64_t index = id - image->first;
  const Place place = {count_, count_ + static_cast<std::int32_t>(index / image->columns),
                       count_ + static_cast<std::int32_t>(index % image->columns)};
  if (index + 1 == image->tokens) count_ += static_cast<std::int32_t>(std::max(image->rows, image->columns));
  return place;
}

std::int32_t count_behind(std::span<const TokenId> row, const ImageSpans& spans) {
  PlaceCounter counter(spans);
  for (const TokenId id : row) counter.next(id);
  return counter.count();
}

}  // namespace proctor
