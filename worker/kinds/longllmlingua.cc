// LongLLMLingua as a module: passages and a question -> what of the passages the question needs. Coarse: the passages
// that make the question likely; fine: the tokens that the decoder does not expect (worker/postprocessing/compression).
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sharding/protocol/error.h"
#include "worker/base/clock.h"
#include "worker/kinds/decoder_module.h"
#include "worker/kinds/options.h"
#include "worker/kinds/score.h"
#include "worker/postprocessing/compression.h"

namespace proctor {
namespace {

constexpr double kMoreForPassages = 100;  // tokens past the target that whole passages may have
constexpr const char* kAfterQuestion = " We can get the answer to this question in the given documents.";

/// One request's passages.
struct Passages {
  std::vector<std::string> texts;
  std::vector<std::size_t> tokens, plain;  // of each, as the tokenizer encodes a text; without special tokens
  std::vector<double> question_loss;       // mean, behind each
};

std::int64_t check(const ModelFolder& folder, TextCodec&, const Module& module) {
  refuse_bos(module);
  return row_limit(folder, module);
}

class LongLlmLingua final : public DecoderModule {
 public:
  LongLlmLingua(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : DecoderModule(module, device, gang, announce), max_length_(row_limit(folder(), module)) {}

  /// All questions behind all passages first, in common batches; then request by request.
  std::vector<Response> run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) override {
    const at::NoGradGuard no_grad;
    std::vector<Response> responses(shard.requests.size());
    std::vector<Passages> all(shard.requests.size());
    const auto begin = Clock::now();
    ScoringWork work(shard.requests.size());
    for (std::size_t i = 0; i < shard.requests.size(); ++i) try {
        all[i] = passages_of(shard.requests[i]);
        if (all[i].texts.size() > 1) add_questions(shard.requests[i], all[i], i, work);
      } catch (const InputError& error) {
        responses[i].error = error.what();
        while (!work.owners.empty() && work.owners.back() == i) work.owners.pop_back(), work.rows.pop_back();
      }
    tokenize_s_ += seconds_since(begin);
    std::vector<RowScore> scores;
    std::uint32_t batch = score_rows(work, shard, cleanup, announce, scores);
    for (std::size_t row = 0; row < work.rows.size(); ++row)
      all[work.owners[row]].question_loss.push_back(-scores[row].sum / static_cast<double>(scores[row].tokens));
    for (std::uint32_t i = 0; i < shard.requests.size(); ++i, ++batch) {
      if (!responses[i].error.empty() || shard.left_out(i)) continue;
      try {
        const Announce announce_mine = [&](const ProgressUnit& unit) { announce({unit.text, batch, {i}}); };
        responses[i].answer = compress(shard.requests[i], all[i], limits_of(shard), announce_mine);
      } catch (const InputError& error) {
        responses[i].error = error.what();
      }
      cleanup.after_batch();
    }
    return responses;
  }

 private:
  static const std::string& question_of(const Request& request) { return text_of(request.parts.back()); }

  Passages passages_of(const Request& request) {
    if (request.parts.size() < 2) throw InputError("there is no passage to compress");
    Passages passages;
    for (std::size_t p = 0; p + 1 < request.parts.size(); ++p) passages.texts.push_back(text_of(request, p));
    (void)question_of(request);
    for (const std::string& text : passages.texts) {
      passages.tokens.push_back(codec().encode(text).size());
      passages.plain.push_back(codec().encode_without_specials(text).size());
    }
    return passages;
  }

  /// A row a passage: the question's tokens behind it are scored.
  void add_questions(const Request& request, const Passages& passages, std::size_t owner, ScoringWork& work) {
    for (std::size_t p = 0; p < passages.texts.size(); ++p) {
      Tokens tokens = codec().encode(passages.texts[p] + question_of(request) + kAfterQuestion);
      const std::size_t from = passages.tokens[p] > 0 ? passages.tokens[p] - 1 : tokens.size() - 2;  // as loss[-1:]
      work.rows.push_back(row_of(rows().in_range(tokens), from));
      work.owners.push_back(owner);
    }
  }

  /// Scores tokens[from + 1] and on.
  ScoredRow row_of(std::span<const TokenId> tokens, std::size_t from) const {
    if (static_cast<std::int64_t>(tokens.size()) > max_length_)
      throw InputError("passages of " + std::to_string(tokens.size()) + " tokens are longer than max_length " +
                       std::to_string(max_length_) + "; give shorter ones, or a smaller target_tokens");
    const auto first = static_cast<std::ptrdiff_t>(from) + 1;
    return {{tokens.begin(), tokens.end() - 1}, {tokens.begin() + first, tokens.end()}};
  }

  CompressAnswer compress(const Request& request, const Passages& passages, const BatchLimits& limits,
                          const Announce& announce) {
    const auto target = static_cast<double>(std::get<Compress>(request.ask).target_tokens);
    if (std::ranges::any_of(passages.question_loss, [](double loss) { return !std::isfinite(loss); }))
      throw InputError(not_finite("loss"));
    std::vector<std::size_t> chosen = {0};
    if (passages.texts.size() > 1)
      chosen = choose_contexts(passages.question_loss, passages.tokens, target + kMoreForPassages);
    std::string text;
    std::vector<std::size_t> lengths;
    for (const std::size_t p : chosen) {
      text += (lengths.empty() ? "" : "\n\n") + passages.texts[p];
      lengths.push_back(passages.plain[p]);
    }
    const Tokens tokens = codec().encode_without_specials(text);
    const Tokens kept =
        thin_out(rows().in_range(tokens), lengths, target,
                 [&](std::span<const TokenId> seen, std::size_t from) { return losses(seen, from, limits, announce); });
    const std::size_t before = std::accumulate(passages.plain.begin(), passages.plain.end(), std::size_t{0});
    return {codec().decode_whole(kept), static_cast<std::int64_t>(kept.size()), static_cast<std::int64_t>(before)};
  }

  /// Collective.
  std::vector<double> losses(std::span<const TokenId> tokens, std::size_t from, const BatchLimits& limits,
                             const Announce& announce) {
    if (tokens.size() < from + 2) return {};
    const std::vector<ScoredRow> rows = {row_of(tokens, from)};
    std::vector<RowScore> scores(1);
    scores[0].of_targets.resize(rows[0].targets.size());
    for (const Batch& batch : make_batches(rows, limits)) {
      announce("compress, tokens up to " + std::to_string(tokens.size()));
      prefix().ensure(batch, rows, limits, announce);
      score_batch(decoder(), batch, rows, prefix(), scores);
    }
    for (double& one : scores[0].of_targets) {
      if (!std::isfinite(one)) throw InputError(not_finite("loss"));
      one = -one;
    }
    return std::move(scores[0].of_targets);
  }

  std::int64_t max_length_;
};

}  // namespace

const Kind& longllmlingua_kind() {
  static const Kind kind{"longllmlingua", open_as<LongLlmLingua>, check};
  return kind;
}

}  // namespace proctor
