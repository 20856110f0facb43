// The kind `generator` over an encoder with a decoder, as lm-eval's `hf` model with backend seq2seq has it: the encoder
// reads a context, its left end cut off; the decoder scores a continuation that was encoded alone, or writes.
#include "worker/kinds/seq2seq_generator.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "sharding/planning/cost.h"
#include "worker/base/clock.h"
#include "worker/inference/beam_search.h"
#include "worker/inference/logit_changes.h"
#include "worker/inference/token_choice.h"
#include "worker/kernels/token_tensor.h"
#include "worker/kinds/each_request.h"
#include "worker/kinds/generate_answer.h"
#include "worker/kinds/options.h"
#include "worker/kinds/score.h"
#include "worker/kinds/seq2seq_module.h"
#include "worker/kinds/seq2seq_rows.h"
#include "worker/postprocessing/generation_text.h"

namespace proctor {
namespace {

struct TokenScores {
  std::vector<double> log_p;
  std::vector<bool> greedy;  // the likeliest, the lowest id among equals
};

class Seq2SeqGenerator final : public Seq2SeqModule {
 public:
  Seq2SeqGenerator(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : Seq2SeqModule(module, device, gang, announce),
        rows_(folder(), codec(), seq2seq_limit(folder(), module)),
        choice_(codec(), folder().generation.eos_ids, LogitColumns(folder().vocabulary())) {}

  std::vector<Response> run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) override;
  void drop_batches() override {
    rows_ahead_.drop();
    Seq2SeqModule::drop_batches();
  }

 private:
  /// Of a scored request: its parts' sums, in their order.
  struct Score {
    std::map<std::size_t, double> sums;
    bool greedy = true;
    std::int64_t tokens = 0;
  };
  void score(std::span<const TextRow> rows, std::vector<Score>& scores) const;
  TokenScores token_scores(const at::Tensor& states, const Tokens& wanted) const;
  void generate(std::span<const TextRow> texts, Seq2SeqRows& rows, const Announce& announce) const;
  at::Tensor next_logits(Seq2Seq::Written& written, const Tokens& tokens) const;
  void search(const TextRow& text, Seq2SeqRows& rows, const Announce& announce);
  void answer_scored(std::span<const Request> requests, const std::vector<Score>& scores, const Seq2SeqRows& rows,
                     std::vector<Response>& responses) const;
  void answer_generated(std::span<const Request> requests, const Seq2SeqRows& rows, std::vector<Response>& responses);

  Seq2SeqRowMaker rows_;
  TokenChoice choice_;
  Prefetch<Seq2SeqRows> rows_ahead_;  // last, since its thread reads the others
};

std::vector<Response> Seq2SeqGenerator::run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) {
  const at::NoGradGuard no_grad;
  const auto begin = Clock::now();
  Seq2SeqRows rows =
      rows_ahead_.of(shard, [this](std::span<const Request> requests) { return rows_.of_requests(requests); });
  std::vector<Response> responses = responses_with(rows.errors);
  tokenize_s_ += seconds_since(begin);
  std::vector<Score> scores(shard.requests.size());
  const std::uint32_t batches =
      run_rows(rows.scored, 0, shard, cleanup, announce, [&](std::span<const TextRow> batch) { score(batch, scores); });
  run_rows(rows.generated, batches, shard, cleanup, announce, [&](std::span<const TextRow> batch) {
    if (folder().generation.beams == 1) return generate(batch, rows, announce);
    for (const TextRow& text : batch) search(text, rows, announce);
  });
  answer_scored(shard.requests, scores, rows, responses);
  answer_generated(shard.requests, rows, responses);
  return responses;
}

/// Contexts that follow each other and are the same are encoded once.
void Seq2SeqGenerator::score(std::span<const TextRow> rows, std::vector<Score>& scores) const {
  Tokens contexts, given, wanted, places;
  std::vector<std::int64_t> context_lengths, lengths;
  Seq2Seq::Texts texts;
  std::int32_t begin = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Tokens& context = rows[i].encoding.ids;
    if (i == 0 || context != rows[i - 1].encoding.ids) {
      begin = static_cast<std::int32_t>(contexts.size());
      contexts.insert(contexts.end(), context.begin(), context.end());
      context_lengths.push_back(static_cast<std::int64_t>(context.size()));
    }
    for (std::size_t state = 0; state < context.size(); ++state)
      places.push_back(begin + static_cast<std::int32_t>(state));
    texts.lengths.push_back(static_cast<std::int64_t>(context.size()));
    const Tokens& labels = rows[i].decoder;
    given.push_back(network().config().start_token);
    given.insert(given.end(), labels.begin(), labels.end() - 1);
    wanted.insert(wanted.end(), labels.begin(), labels.end());
    lengths.push_back(static_cast<std::int64_t>(labels.size()));
  }
  texts.states = network().encode(contexts, context_lengths);
  if (places.size() > contexts.size()) texts.places = token_tensor(places, texts.states.device());
  const TokenScores all = token_scores(network().decode(given, lengths, texts), wanted);
  std::size_t at = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Score& score = scores[rows[i].requests[0]];
    double& sum = score.sums[rows[i].part];
    for (const std::size_t end = at + rows[i].decoder.size(); at < end; ++at) {
      sum += all.log_p[at];
      score.greedy = score.greedy && all.greedy[at];
    }
    score.tokens += lengths[i];
  }
}

TokenScores Seq2SeqGenerator::token_scores(const at::Tensor& states, const Tokens& wanted) const {
  TokenScores all;
  const auto most = static_cast<std::int64_t>(head_rows(!states.is_cpu()));
  for (std::int64_t first = 0; first < states.size(0); first += most) {
    const std::int64_t count = std::min(most, states.size(0) - first);
    const at::Tensor logits = network().logits(states.narrow(0, first, count));
    const at::Tensor ids =
        token_tensor(std::span(wanted).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)),
                     states.device())
            .to(at::kLong);
    const at::Tensor log_p =
        (at::gather(logits, 1, ids.unsqueeze(1)).squeeze(1) - at::logsumexp(logits, {1})).to(at::kDouble).cpu();
    const at::Tensor greedy = logits.argmax(1).eq(ids).cpu();
    for (std::int64_t i = 0; i < count; ++i) {
      all.log_p.push_back(log_p.data_ptr<double>()[i]);
      all.greedy.push_back(greedy.data_ptr<bool>()[i]);
    }
  }
  return all;
}

/// Collective. [rows, vocabulary], float32: member 0's, so that all members choose and end alike.
at::Tensor Seq2SeqGenerator::next_logits(Seq2Seq::Written& written, const Tokens& tokens) const {
  at::Tensor logits = network().logits(network().step(written, tokens));
  gang().broadcast(logits, 0);
  return logits;
}

/// All rows of a batch are written together, a token of each a step; finished ones leave.
void Seq2SeqGenerator::generate(std::span<const TextRow> texts, Seq2SeqRows& rows, const Announce& announce) const {
  const PackedRows all = packed(texts);
  std::vector<GenerationRow*> active;
  Tokens next;
  std::int64_t room = 0, most = network().config().positions;
  for (const TextRow& text : texts) {
    active.push_back(&rows.writing[text.part]);
    next.push_back(active.back()->prompt[0]);
    room = std::max(room, active.back()->max_new);
  }
  if (most > 0) room = std::min(room, most);
  Seq2Seq::Written written = network().begin({network().encode(all.tokens, all.lengths), all.lengths}, room);
  while (!active.empty() && written.length < room) {
    announce("decode step " + std::to_string(written.length + 1) + ", " + std::to_string(active.size()) + " rows");
    const std::vector<bool> finished = choice_(next_logits(written, next), active);
    std::vector<std::int64_t> kept;
    std::vector<GenerationRow*> going_on;
    next.clear();
    for (std::size_t i = 0; i < active.size(); ++i) {
      if (finished[i]) continue;
      kept.push_back(static_cast<std::int64_t>(i));
      going_on.push_back(active[i]);
      next.push_back(active[i]->generated.back());
    }
    if (kept.size() < active.size()) Seq2Seq::keep(written, kept);
    active = std::move(going_on);
  }
  for (const GenerationRow* row : active) rows.past_table.insert(row->request);
}

/// One text, by the best of several that are written side by side. As lm-eval's criteria have it, a stop string is
/// looked for in the last tokens of the best candidate alone, behind as many as the context has.
void Seq2SeqGenerator::search(const TextRow& text, Seq2SeqRows& rows, const Announce& announce) {
  GenerationRow& row = rows.writing[text.part];
  const GenerationDefaults& of_folder = folder().generation;
  const std::int64_t beams = of_folder.beams, table = network().config().positions;
  const auto length = static_cast<std::int64_t>(text.encoding.ids.size());
  const std::int64_t room = table > 0 ? std::min(row.max_new, table) : row.max_new;
  const BeamSearch::Stops stops = [&](const Tokens& tokens) {
    const std::size_t behind = tokens.size() - std::min(tokens.size(), row.special_stops_from);
    for (std::size_t i = 0; i < row.stops.size(); ++i) {
      const std::size_t most = rows.stop_tokens[text.part][i] + 2;
      if (has_stop(codec().decode_whole(std::span(tokens).last(std::min(behind, most))), {row.stops[i]})) return true;
    }
    return false;
  };
  BeamSearch search({beams, row.max_new, of_folder.eos_ids, of_folder.length_penalty, of_folder.ends});
  const Seq2Seq::Texts one = {network().encode(text.encoding.ids, {{length}}), {length}};
  const at::Tensor places = at::arange(length, one.states.options().dtype(at::kInt)).repeat({beams});
  Seq2Seq::Written written =
      network().begin({one.states, std::vector<std::int64_t>(static_cast<std::size_t>(beams), length), places}, room);
  std::vector<GenerationRow> texts(static_cast<std::size_t>(beams), row);
  Tokens next(static_cast<std::size_t>(beams), row.prompt[0]);
  while (!search.is_over() && written.length < room) {
    announce("beam step " + std::to_string(written.length + 1));
    at::Tensor log_p = at::log_softmax(next_logits(written, next), 1);
    for (std::size_t i = 0; i < texts.size(); ++i)
      change_logits(log_p[static_cast<std::int64_t>(i)], texts[i], of_folder.eos_ids,
                    {0, log_p.size(1), log_p.size(1)});
    const std::vector<std::int64_t> from = search.step(log_p, stops);
    Seq2Seq::reorder(written, from);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      texts[i].generated = search.running()[i];
      next[i] = texts[i].generated.back();
    }
  }
  row.broken = search.is_broken();
  row.generated = search.is_over() ? search.best() : search.running()[0];
  if (!search.is_over()) rows.past_table.insert(row.request);
  if (!row.wants_logprobs || row.broken) return;
  Tokens given = row.prompt;
  given.insert(given.end(), row.generated.begin(), row.generated.end() - 1);
  const auto written_tokens = static_cast<std::int64_t>(given.size());
  row.logprobs = token_scores(network().decode(given, {{written_tokens}}, one), row.generated).log_p;
}

void Seq2SeqGenerator::answer_scored(std::span<const Request> requests, const std::vector<Score>& scores,
                                     const Seq2SeqRows& rows, std::vector<Response>& responses) const {
  std::vector<bool> has_rows(requests.size(), false);
  for (const TextRow& row : rows.scored) has_rows[row.requests[0]] = true;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const RequestType type = type_of(requests[i].ask);
    const bool set_aside = scores[i].tokens == 0 && has_rows[i];
    if (type == RequestType::generate_until || !responses[i].error.empty() || set_aside) continue;
    double sum = 0;
    for (const auto& [part, of_part] : scores[i].sums) sum += of_part;
    if (!std::isfinite(sum))
      responses[i].error = not_finite("log-likelihood");
    else if (type == RequestType::loglikelihood)
      responses[i].answer = LoglikelihoodAnswer{sum, scores[i].greedy, scores[i].tokens, rows.truncated[i]};
    else
      responses[i].answer = RollingAnswer{sum, scores[i].tokens};
  }
}

void Seq2SeqGenerator::answer_generated(std::span<const Request> requests, const Seq2SeqRows& rows,
                                        std::vector<Response>& responses) {
  for (const GenerationRow& row : rows.writing) {
    Response& response = responses[row.request];
    if (row.broken)
      response.error = not_finite("logit");
    else if (rows.past_table.contains(row.request))
      response.error = "the text goes on past the decoder's " + std::to_string(network().config().positions) +
                       " positions; a smaller max_gen_toks ends it before";
    else if (!row.generated.empty())
      response.answer = answer_of(row, std::get<Generate>(requests[row.request].ask), codec());
  }
}

}  // namespace

std::shared_ptr<OpenModule> open_seq2seq_generator(const Module& module, Device& device, Communicator& gang,
                                                   const Announce& announce) {
  return open_as<Seq2SeqGenerator>(module, device, gang, announce);
}

std::int64_t check_seq2seq_generator(const ModelFolder& folder, const Module& module) {
  if (folder.seq2seq->positions == 0) refuse_float16(folder, module);
  return seq2seq_limit(folder, module);
}

}  // namespace proctor
