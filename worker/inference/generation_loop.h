// Generation of a shard's rows: prompts by the batcher, then a token of every active row a step. Rows leave when they
// stop and waiting ones enter. What all prompts begin with stays in the prefix cache, attended by all. Compute thread
// only.
#pragma once

#include <span>
#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/attention/kv_cache.h"
#include "worker/attention/prefix_cache.h"
#include "worker/batching/batcher.h"
#include "worker/checkpoint/text_codec.h"
#include "worker/inference/token_choice.h"
#include "worker/models/decoder.h"

namespace proctor {

class GenerationLoop {
 public:
  /// All must outlive this.
  GenerationLoop(const Decoder& decoder, const TextCodec& codec, const Tokens& eos_ids, PrefixCache& prefix)
      : decoder_(decoder), codec_(codec), eos_ids_(eos_ids), prefix_(prefix) {}

  /// Collective. A pure function of the rows, their order and the limits. Announces each prompt batch and each step.
  void run(std::span<GenerationRow> rows, const BatchLimits& limits, const Announce& announce);

 private:
  class Lanes;
  std::vector<std::vector<GenerationRow*>> groups_of(const std::vector<GenerationRow*>& rows,
                                                     const BatchLimits& limits) const;

  const Decoder& decoder_;
  const TextCodec& codec_;
  const Tokens& eos_ids_;
  PrefixCache& prefix_;
};

}  // namespace proctor
