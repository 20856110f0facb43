// A row that is generated, and what decides its next token.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sharding/protocol/ask.h"
#include "sharding/protocol/tokens.h"
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
  std::optional<TokenId> image_token = {};  ///< what an image's ids stand for, where the prompt has images
  Sampling sampling;
  bool wants_logprobs = false;
  LogitChanges changes = {};
  std::int64_t min_new = 0;  ///< tokens before which nothing ends it
  bool ignore_eos = false;
  Tokens stop_ids = {};              ///< end it
  std::int64_t no_repeat_ngram = 0;  ///< of so many tokens, the prompt's among them, none comes twice; 0: all may
  std::optional<TokenId> forced_first = {}, forced_last = {};  ///< the last: where max_new ends the row
  ReasoningWatch reasoning = {};
  std::size_t special_stops_from = 0;  ///< of its tokens, from which on a stop may lie in a special token's text
  bool broken = false;                 ///< set where a logit was not finite: nothing was generated from there on
  std::vector<double> logprobs = {};   ///< natural, of `generated`, before penalty and temperature; where wanted
};

}  // namespace proctor
