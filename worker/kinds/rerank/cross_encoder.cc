// The kind `cross_encoder`: an encoder with a classification head that reads a query and a passage together, as
// sentence-transformers' CrossEncoder does.
#include <ATen/TensorOperators.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>

#include <algorithm>
#include <cmath>

#include "worker/checkpoint/sentence_settings.h"
#include "worker/kinds/encoder_module.h"
#include "worker/kinds/options.h"
#include "worker/kinds/score.h"

namespace proctor {
namespace {

PairActivation activation_of(const ModelFolder& folder, const Module& module) {
  const std::string asked = option<std::string>(module, "activation", "");
  const std::int64_t labels = folder.encoder->labels;
  if (asked.empty()) return read_pair_activation(folder.path, labels);
  const std::optional<PairActivation> known = pair_activation_named(asked);
  if (!known)
    refuse_option(module, "activation: expected identity, over_passages, sigmoid or softmax, found '" + asked + "'");
  if (*known == PairActivation::softmax && labels < 2)
    refuse_option(module, "activation: the softmax of one output is 1 for every passage");
  return *known;
}

Truncation truncation_of(const Module& module) {
  const std::string name = option<std::string>(module, "truncation", "longest_first");
  if (name == "longest_first") return Truncation::longest_first;
  if (name == "only_second") return Truncation::only_second;
  refuse_option(module, "truncation: expected longest_first or only_second, found '" + name + "'");
}

std::int64_t max_tokens(const ModelFolder& folder, const Module& module) {
  return token_limit(folder, module, read_pair_tokens(folder.path).value_or(folder.max_length));
}

std::int64_t check(const ModelFolder& folder, TextCodec&, const Module& module) {
  refuse_bos(module);
  (void)activation_of(folder, module);
  (void)truncation_of(module);
  return max_tokens(folder, module);
}

/// A query's passages follow each other and are in one shard. The largest is taken off first, as KoReranker does.
void share_among_passages(std::span<const Request> requests, std::vector<Response>& responses) {
  const auto score_of = [&](std::size_t i) -> double* {
    auto* answer = std::get_if<ScorePairAnswer>(&responses[i].answer);
    return answer ? &answer->score : nullptr;
  };
  for (std::size_t first = 0, last = 0; first < requests.size(); first = last) {
    std::vector<double*> scores;
    for (; last < requests.size() && same_query(requests[last], requests[first]); ++last)
      if (double* score = score_of(last)) scores.push_back(score);
    if (scores.empty()) continue;
    const double best = **std::ranges::max_element(scores, {}, [](const double* score) { return *score; });
    double sum = 0;
    for (const double* score : scores) sum += std::exp(*score - best);
    for (double* score : scores) *score = std::exp(*score - best) / sum;
  }
}

class CrossEncoder final : public EncoderModule {
 public:
  CrossEncoder(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : EncoderModule(module, device, gang, announce),
        activation_(activation_of(folder(), module)),
        truncation_(truncation_of(module)),
        max_tokens_(max_tokens(folder(), module)) {}

  std::vector<Response> run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) override {
    std::vector<Response> responses = TextModule::run(shard, cleanup, announce);
    if (activation_ == PairActivation::over_passages) share_among_passages(shard.requests, responses);
    return responses;
  }

 private:
  TextRow row_of(const Request& request) override {
    return {codec().encode_pair_at_most(text_of(request, 0), text_of(request, 1), static_cast<std::size_t>(max_tokens_),
                                        truncation_),
            {}};
  }
  void compute(std::span<const TextRow> rows, std::vector<Response>& responses) const override;

  PairActivation activation_;
  Truncation truncation_;
  std::int64_t max_tokens_;
};

void CrossEncoder::compute(std::span<const TextRow> rows, std::vector<Response>& responses) const {
  const PackedRows all = packed(rows);
  const at::Tensor logits = encoder().label_logits(all.tokens, all.types, all.lengths);
  const at::Tensor scores = activation_ == PairActivation::sigmoid   ? at::sigmoid(logits)
                            : activation_ == PairActivation::softmax ? at::softmax(logits, 1)
                                                                     : logits;
  answer_scores(rows, scores.select(1, scores.size(1) - 1), responses);  // the one, or that of "relevant"
}

}  // namespace

const Kind& cross_encoder_kind() {
  static const Kind kind{"cross_encoder", open_as<CrossEncoder>, check};
  return kind;
}

}  // namespace proctor
