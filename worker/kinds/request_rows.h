// Requests -> token rows, truncated as lm-eval does.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sharding/protocol/request.h"
#include "sharding/protocol/tokens.h"
#include "worker/batching/batcher.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/checkpoint/text_codec.h"
#include "worker/inference/generation_loop.h"
#include "worker/kinds/shard_images.h"

namespace proctor {

/// What a shard's scoring requests come to: rows, and whose each is. A rolling request has one row per window.
struct ScoringWork {
  std::vector<ScoredRow> rows;
  std::vector<std::size_t> owners;      // of each row: its request
  std::vector<std::int64_t> truncated;  // of each request: tokens cut off the left
  std::vector<std::string> errors;      // of each request: why it has no row; "" otherwise

  explicit ScoringWork(std::size_t requests) : truncated(requests, 0) {}
  void add(ScoredRow row, std::size_t owner) {
    rows.push_back(std::move(row));
    owners.push_back(owner);
  }
};

class RequestRows {
 public:
  /// Folder and codec outlive this. max_length: tokens.
  RequestRows(const ModelFolder& folder, TextCodec& codec, std::int64_t max_length, std::int64_t max_length_with_images)
      : folder_(folder), codec_(codec), max_length_(max_length), max_length_with_images_(max_length_with_images) {}

  /// Adds the rows of a request for log-likelihoods, of a continuation or rolling. Throws InputError for one that is
  /// too long, or as in_range does.
  /// images: the shard's.
  void score(const Request& request, std::size_t index, ScoringWork& work, const ShardImages& images = {}) const;
  /// Throws InputError for a request that leaves no room or names a token that the model lacks.
  GenerationRow generation(const Request& request, std::size_t index, const ShardImages& images = {}) const;
  /// The same without prompt, lengths and what the model's files say: what is asked for alone.
  GenerationRow asked(const Generate& ask, std::size_t index) const;
  /// The ids; throws InputError for one past the embedding's rows (a token that the tokenizer has and the model lacks),
  /// `but` this one: it costs its request only.
  const Tokens& in_range(const Tokens& ids, TokenId but = -1) const;

 private:
  ScoredRow loglikelihood(const Request& request, OnLong on_long, std::int64_t& truncated,
                          const ShardImages& images) const;
  /// Of rows with images, which are never cut.
  std::int64_t max_length(bool has_images) const { return has_images ? max_length_with_images_ : max_length_; }
  const VisionFacts& facts() const;

  const ModelFolder& folder_;
  TextCodec& codec_;  // its caches grow
  std::int64_t max_length_, max_length_with_images_;
};

}  // namespace proctor
