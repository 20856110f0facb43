// Beam search as transformers 4.57.1 has it (GenerationMixin._beam_search), of one text, with lm-eval's stop strings.
// Compute thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/checkpoint/generation_defaults.h"

namespace proctor {

struct BeamFacts {
  std::int64_t beams = 1;
  std::int64_t most = 0;  ///< tokens of a text, the first one not counted
  Tokens eos_ids;
  double length_penalty = 1;
  GenerationDefaults::Ends ends = GenerationDefaults::Ends::by_length;
};

class BeamSearch {
 public:
  /// Of the best candidate, without its first token: whether a stop string ends the search.
  using Stops = std::function<bool(const Tokens&)>;
  explicit BeamSearch(BeamFacts facts);

  /// Texts that go on, without their first token: as many as beams, the best one first.
  const std::vector<Tokens>& running() const { return running_; }
  /// log_p [beams, vocabulary], float32: of what follows each running text, after all that changes it. Returns which
  /// running text each of the new ones goes on with.
  std::vector<std::int64_t> step(const at::Tensor& log_p, const Stops& stops);
  bool is_over() const { return over_; }
  bool is_broken() const { return broken_; }  ///< a logit was not finite
  /// The best text that has ended, without its first token.
  const Tokens& best() const { return ended_[0].tokens; }

 private:
  struct Text {
    Tokens tokens;
    float score = 0;
    bool has_ended = false;
  };
  struct Candidate {
    std::int64_t from = 0;  // which running text
    Tokens tokens;
    float sum = 0;  // of log-probabilities
    bool ends = false;
  };
  std::vector<Candidate> candidates(const at::Tensor& log_p, const Stops& stops);
  void keep_best_that_ended(const std::vector<Candidate>& all);
  bool may_be_improved() const;
  bool all_ended() const;

  BeamFacts facts_;
  std::vector<Tokens> running_;
  std::vector<float> sums_;  // of the running texts
  std::vector<Text> ended_;  // the best ones, as many as beams; at first none has ended
  bool stopped_ = false, improvable_ = true, over_ = false, broken_ = false;
};

}  // namespace proctor
