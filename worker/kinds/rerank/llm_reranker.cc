// A decoder as a reranker: the logit of "Yes" behind a query, a passage and a question about the two; as
// FlagEmbedding's FlagLLMReranker (bge-reranker-v2-gemma) has it. What rows begin with alike, the query, is computed
// once.
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "worker/kinds/decoder_module.h"
#include "worker/kinds/each_request.h"
#include "worker/kinds/options.h"
#include "worker/kinds/score.h"

namespace proctor {
namespace {

constexpr std::int64_t kUsualLength = 512;  // tokens of query and passage

struct Settings {
  std::string prompt =
      "Given a query A and a passage B, determine whether the passage contains an answer to the query by providing a "
      "prediction of either 'Yes' or 'No'.";
  bool normalize = false;  ///< the sigmoid of the logit
};

Settings read_settings(const Module& module) {
  const Settings usual;
  return {option(module, "prompt", usual.prompt), option(module, "normalize", usual.normalize)};
}

/// The token whose logit is the score.
std::int32_t yes_token(const ModelFolder& folder, TextCodec& codec, const Module& module) {
  const Tokens ids = codec.encode_without_specials("Yes");
  if (ids.empty() || ids[0] >= folder.vocabulary())
    refuse(module, folder.path + ": the model has no token for 'Yes', whose logit is the score");
  return ids[0];
}

std::int64_t max_length(const ModelFolder& folder, const Module& module) {
  return token_limit(folder, module, std::min(kUsualLength, folder.max_length));
}

std::int64_t check(const ModelFolder& folder, TextCodec& codec, const Module& module) {
  refuse_bos(module);
  (void)read_settings(module);
  (void)yes_token(folder, codec, module);
  return max_length(folder, module);
}

class LlmReranker final : public DecoderModule {
 public:
  LlmReranker(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : DecoderModule(module, device, gang, announce),
        settings_(read_settings(module)),
        max_length_(max_length(folder(), module)),
        separator_(codec().encode_without_specials("\n")),
        prompt_(codec().encode_without_specials(settings_.prompt)),
        yes_(yes_token(folder(), codec(), module)) {}

  std::vector<Response> run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) override {
    const at::NoGradGuard no_grad;
    const ScoringWork work = one_row_each(shard, [this](const Request& request, std::int64_t& truncated) {
      return ScoredRow{row_of(request, truncated), {yes_}};
    });
    std::vector<Response> responses = responses_with(work.errors);
    std::vector<RowScore> scores;
    score_rows(work, shard, cleanup, announce, scores);
    for (std::size_t row = 0; row < work.rows.size(); ++row) {
      const std::size_t request = work.owners[row];
      if (shard.left_out(static_cast<std::uint32_t>(request))) continue;
      const double logit = scores[row].last_logit;
      answer_score(responses[request], settings_.normalize ? 1 / (1 + std::exp(-logit)) : logit,
                   work.rows[row].tokens.size(), static_cast<std::size_t>(work.truncated[request]));
    }
    return responses;
  }

 private:
  /// [begin] A: query \n B: passage \n prompt. The query keeps three quarters of the length at most; then the passage
  /// is cut, so that query, passage and first separator have max_length and what the separator and the prompt take.
  Tokens row_of(const Request& request, std::int64_t& truncated) {
    const auto cut_to = [&](Tokens& ids, std::int64_t most) {
      const std::int64_t more = static_cast<std::int64_t>(ids.size()) - std::max<std::int64_t>(0, most);
      if (more <= 0) return;
      truncated += more;
      ids.resize(ids.size() - static_cast<std::size_t>(more));
    };
    Tokens row = codec().encode_without_specials("A: " + text_of(request, 0));
    Tokens passage = codec().encode_without_specials("B: " + text_of(request, 1));
    cut_to(row, max_length_ * 3 / 4);
    cut_to(passage, max_length_);
    if (codec().bos_id() >= 0 && !codec().pads_with_bos()) row.insert(row.begin(), codec().bos_id());
    passage.insert(passage.begin(), separator_.begin(), separator_.end());
    cut_to(passage, max_length_ + size(separator_) + size(prompt_) - size(row));
    for (const auto* part : {&passage, &separator_, &prompt_}) row.insert(row.end(), part->begin(), part->end());
    return row;
  }
  static std::int64_t size(const Tokens& ids) { return static_cast<std::int64_t>(ids.size()); }

  Settings settings_;
  std::int64_t max_length_;
  Tokens separator_, prompt_;
  std::int32_t yes_;
};

}  // namespace

const Kind& llm_reranker_kind() {
  static const Kind kind{"llm_reranker", open_as<LlmReranker>, check};
  return kind;
}

}  // namespace proctor
