#include "worker/attention/prefix_cache.h"

#include <algorithm>

#include "worker/attention/tree_attention.h"

namespace proctor {

void PrefixCache::clear() {
  tokens_.clear();
  pieces_.clear();
  keys_.clear();
}

void PrefixCache::keep_common(const Tokens& row, const std::vector<std::size_t>& pieces) {
  std::size_t kept = 0, length = 0;
  while (kept < std::min(pieces.size(), pieces_.size()) && pieces[kept] == pieces_[kept]) {
    const auto begin = static_cast<std::ptrdiff_t>(length), end = begin + static_cast<std::ptrdiff_t>(pieces[kept]);
    if (!std::equal(row.begin() + begin, row.begin() + end, tokens_.begin() + begin)) break;
    length += pieces[kept++];
  }
  pieces_.resize(kept);
  tokens_.resize(length);
  keys_.set_length(static_cast<std::int64_t>(length));
}

/// Slots come behind the one before them on their path.
std::vector<Place> PrefixCache::places(const Batch& batch) const {
  std::vector<Place> places;
  if (!has_places()) return places;
  PlaceCounter at_prefix(*images_);
  for (std::size_t i = 0; i < batch.prefix_length; ++i) at_prefix.next(tokens_[i]);
  std::vector<PlaceCounter> behind;  // each slot
  for (std::size_t slot = 0; slot < batch.tokens.size(); ++slot) {
    const std::int32_t parent = batch.parents[slot];
    behind.push_back(parent < 0 ? at_prefix : behind[static_cast<std::size_t>(parent)]);
    places.push_back(behind.back().next(batch.tokens[slot]));
  }
  return places;
}

at::Tensor PrefixCache::forward(const Batch& batch, std::span<const TokenId> slots) {
  const TreeAttention attention(batch, decoder_.config(), decoder_.options(), keys_, images_);
  const std::vector<Place> turned = places(batch);
  const Attend attend = [&](auto layer, const auto& q, const auto& k, const auto& v) {
    Attended out = attention(layer, q, k, v);
    if (batch.extends_prefix) keys_.write(layer, k, v);
    return out;
  };
  const at::Tensor states = decoder_.forward(batch.tokens, batch.positions, attend,
                                             {.tokens = slots, .of_long_texts = batch.is_long, .places = turned});
  if (batch.extends_prefix) {
    tokens_.insert(tokens_.end(), batch.tokens.begin(), batch.tokens.end());
    pieces_.push_back(batch.tokens.size());
    keys_.set_length(static_cast<std::int64_t>(tokens_.size()));
  }
  return states;
}

void PrefixCache::ensure(const Tokens& row, std::size_t length, bool is_long, const BatchLimits& limits,
                         const Announce& announce) {
  if (is_long != is_long_) clear();
  is_long_ = is_long;
  const std::vector<std::size_t> pieces = prefix_pieces(length, limits);
  keep_common(row, pieces);
  if (tokens_.size() < length) keys_.reserve(static_cast<std::int64_t>(length));
  for (std::size_t i = pieces_.size(); i < pieces.size(); ++i) {
    const std::size_t begin = tokens_.size(), end = begin + pieces[i];
    announce("prefix, tokens " + std::to_string(begin) + " to " + std::to_string(end) + " of " +
             std::to_string(length));
    Batch piece = chain_batch(row, begin, end);
    piece.extends_prefix = true;
    piece.is_long = is_long;
    (void)forward(piece, {});
  }
}

void PrefixCache::ensure(const Batch& batch, const std::vector<ScoredRow>& rows, const BatchLimits& limits,
                         const Announce& announce) {
  if (batch.prefix_length > 0 || batch.extends_prefix)
    ensure(rows[batch.prefix_row].tokens, batch.prefix_length, batch.is_long, limits, announce);
}

}  // namespace proctor
