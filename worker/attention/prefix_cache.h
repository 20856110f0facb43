// Keys and values of the prefix that batches attend, kept from batch to batch and from shard to shard of a visit.
// Compute thread only.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/attention/prefix_keys.h"
#include "worker/base/progress_unit.h"
#include "worker/batching/batcher.h"
#include "worker/batching/image_spans.h"
#include "worker/models/decoder.h"

namespace proctor {

class PrefixCache {
 public:
  /// Both must outlive this. images: those whose ids rows have; null: none have any. Whoever changes them clears this.
  explicit PrefixCache(const Decoder& decoder, const ImageSpans* images = nullptr)
      : decoder_(decoder),
        images_(images),
        keys_(decoder.config().layers, decoder.config().kv_heads, decoder.config().head_dim, decoder.options()) {}

  /// Collective. Makes the first `length` tokens of a row, which is long or not, the prefix; computes the pieces
  /// (prefix_pieces) that are not here. Announces each.
  void ensure(const Tokens& row, std::size_t length, bool is_long, const BatchLimits& limits, const Announce& announce);
  /// The same for what a batch of these rows is behind.
  void ensure(const Batch& batch, const std::vector<ScoredRow>& rows, const BatchLimits& limits,
              const Announce& announce);
  /// Collective: Decoder::forward of a batch behind this prefix, which grows by it if it extends it. Returns the states
  /// of the slots, [slots, hidden].
  at::Tensor forward(const Batch& batch, std::span<const TokenId> slots);
  /// Forgets all; the memory too.
  void clear();

  /// What turns the tokens of a batch behind this prefix; empty where their positions do.
  std::vector<Place> places(const Batch& batch) const;
  bool has_places() const { return images_ && !images_->empty() && decoder_.config().has_three_positions; }
  const ImageSpans* images() const { return images_; }

  const PrefixKeys& keys() const { return keys_; }
  std::int64_t length() const { return keys_.length(); }

 private:
  /// Drops what is not the row's beginning, or was cut otherwise.
  void keep_common(const Tokens& row, const std::vector<std::size_t>& pieces);

  const Decoder& decoder_;
  const ImageSpans* images_;
  Tokens tokens_;
  bool is_long_ = false;
  std::vector<std::size_t> pieces_;  // their sum is tokens_.size()
  PrefixKeys keys_;
};

}  // namespace proctor
