// Greedy generation of a batch of rows over one KV cache; rows leave when they stop. Compute thread only.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "worker/kv_cache.h"
#include "worker/model_folder.h"
#include "worker/models/decoder.h"
#include "worker/text_codec.h"

namespace proctor {

struct GenerationRow {
  std::size_t request = 0;                      ///< whose it is
  std::vector<std::int32_t> prompt, generated;  ///< token ids; `generated` is filled
  std::vector<std::string> stops;
  std::int64_t max_new = 0, truncated = 0;
};

class GreedyDecoding {
 public:
  /// All must outlive this.
  GreedyDecoding(const Decoder& decoder, const TextCodec& codec, const GenerationDefaults& defaults)
      : decoder_(decoder), codec_(codec), defaults_(defaults) {}

  /// Announces each decode step.
  void run(std::span<GenerationRow> rows, const Announce& announce);
  std::uint64_t tokens_computed() const { return tokens_; }

 private:
  at::Tensor prefill(std::span<GenerationRow> rows, KvCache& cache, const Announce& announce);
  at::Tensor step(const std::vector<std::int32_t>& tokens, KvCache& cache);
  std::vector<std::int32_t> choose(at::Tensor logits, const std::vector<GenerationRow*>& rows) const;
  bool finished(GenerationRow& row, std::int32_t token) const;

  const Decoder& decoder_;
  const TextCodec& codec_;
  const GenerationDefaults& defaults_;
  std::uint64_t tokens_ = 0;
};

}  // namespace proctor
