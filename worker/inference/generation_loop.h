// Generation of a shard's rows: prompts by the batcher, then a token of every active row a step. Rows leave when they
// stop and waiting ones enter. What all prompts begin with stays in the prefix cache, attended by all. Compute thread
// only.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sharding/protocol/ask.h"
#include "sharding/protocol/tokens.h"
#include "worker/attention/kv_cache.h"
#include "worker/attention/prefix_cache.h"
#include "worker/batching/batcher.h"
#include "worker/checkpoint/model_folder.h"
#include "worker/checkpoint/text_codec.h"
#include "worker/models/decoder.h"
#include "worker/postprocessing/reasoning_watch.h"
#include "worker/postprocessing/sampling.h"

namespace proctor {

/// What is added to logits before the penalty, as vLLM has it.
struct LogitChanges {
  std::vector<LogitBias> bias;
  double presence = 0, frequency = 0;  ///< taken off for tokens that were generated: once, for each time
  bool operator==(const LogitChanges&) const = default;
};

struct GenerationRow {
  std::size_t request = 0;   ///< whose it is
  Tokens prompt, generated;  ///< token ids; `generated` is filled
  std::vector<std::string> stops;
  std::int64_t max_new = 0, truncated = 0;
  double repetition_penalty = 1;
  Sampling sampling;
  bool wants_logprobs = false;
  LogitChanges changes = {};
  std::int64_t min_new = 0;  ///< tokens before which nothing ends it
  bool ignore_eos = false;
  Tokens stop_ids = {};  ///< end it
  ReasoningWatch reasoning = {};
  bool broken = false;                ///< set where a logit was not finite: nothing was generated from there on
  std::vector<double> logprobs = {};  ///< natural, of `generated`, before penalty and temperature; where wanted
};

class GenerationLoop {
 public:
  /// All must outlive this.
  GenerationLoop(const Decoder& decoder, const TextCodec& codec, const Tokens& eos_ids, PrefixCache& prefix)
      : decoder_(decoder), codec_(codec), eos_ids_(eos_ids), prefix_(prefix) {}

  /// Collective. A pure function of the rows, their order and the limits. Announces each prompt batch and each step.
  void run(std::span<GenerationRow> rows, const BatchLimits& limits, const Announce& announce);

 private:
  class Lanes;
  const Decoder& decoder_;
  const TextCodec& codec_;
  const Tokens& eos_ids_;
  PrefixCache& prefix_;
};

}  // namespace proctor
