// The kind `generator`: a language model that scores texts and continues them, as lm-eval's `hf` model does.
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "worker/base/clock.h"
#include "worker/inference/generation_loop.h"
#include "worker/kinds/decoder_module.h"
#include "worker/kinds/each_request.h"
#include "worker/kinds/generate_answer.h"
#include "worker/kinds/options.h"
#include "worker/kinds/score.h"
#include "worker/kinds/seq2seq_generator.h"

namespace proctor {
namespace {

bool same_greedy(const GenerationRow& a, const GenerationRow& b) {
  return a.sampling.is_greedy() && b.sampling.is_greedy() && a.prompt == b.prompt && a.stops == b.stops &&
         a.max_new == b.max_new && a.repetition_penalty == b.repetition_penalty && a.truncated == b.truncated &&
         a.wants_logprobs == b.wants_logprobs && a.changes == b.changes && a.min_new == b.min_new &&
         a.ignore_eos == b.ignore_eos && a.stop_ids == b.stop_ids && a.reasoning == b.reasoning;
}

class Generator final : public DecoderModule {
 public:
  Generator(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : DecoderModule(module, device, gang, announce),
        generation_(decoder(), codec(), folder().generation.eos_ids, prefix()) {}

  std::vector<Response> run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) override {
    const at::NoGradGuard no_grad;
    const auto begin = Clock::now();
    Rows made = rows_ahead_.of(shard, [this](std::span<const Request> requests, const ImageOptions& image) {
      return rows_of(requests, image);
    });
    std::vector<Response> responses = responses_with(made.scoring.errors);
    tokenize_s_ += seconds_since(begin);
    show(std::move(made.images), shard, cleanup, announce);
    const std::uint32_t batches = score_all(shard, made.scoring, cleanup, announce, responses);
    generate_all(shard, made.generation, batches, cleanup, announce, responses);
    return responses;
  }
  void drop_batches() override {
    rows_ahead_.drop();
    DecoderModule::drop_batches();
  }

 private:
  struct Rows {
    ScoringWork scoring;  // its errors are of all requests
    std::vector<GenerationRow> generation;
    ShardImages images;
  };
  Rows rows_of(std::span<const Request> requests, const ImageOptions& image);
  /// Returns how many batches that were.
  std::uint32_t score_all(const ShardRun& shard, const ScoringWork& work, BatchCleanup& cleanup,
                          const Announce& announce, std::vector<Response>& responses);
  void generate_all(const ShardRun& shard, const std::vector<GenerationRow>& all, std::uint32_t batch,
                    BatchCleanup& cleanup, const Announce& announce, std::vector<Response>& responses);

  GenerationLoop generation_;
  Prefetch<Rows> rows_ahead_;  // last, since its thread reads the others
};

std::uint32_t Generator::score_all(const ShardRun& shard, const ScoringWork& work, BatchCleanup& cleanup,
                                   const Announce& announce, std::vector<Response>& responses) {
  const std::span<const Request> requests = shard.requests;
  std::vector<RowScore> of_rows, scores(requests.size());
  const std::uint32_t batches = score_rows(work, shard, cleanup, announce, of_rows);
  for (std::size_t r = 0; r < work.rows.size(); ++r) {  // windows of a text are added in their order
    RowScore& score = scores[work.owners[r]];
    score.sum += of_rows[r].sum;
    score.greedy = score.greedy && of_rows[r].greedy;
    score.tokens += of_rows[r].tokens;
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (!responses[i].error.empty()) continue;
    if (!std::isfinite(scores[i].sum)) {
      responses[i].error = not_finite("log-likelihood");
      continue;
    }
    const auto tokens = static_cast<std::int64_t>(scores[i].tokens);
    if (type_of(requests[i].ask) == RequestType::loglikelihood)
      responses[i].answer = LoglikelihoodAnswer{scores[i].sum, scores[i].greedy, tokens, work.truncated[i]};
    if (type_of(requests[i].ask) == RequestType::loglikelihood_rolling)
      responses[i].answer = RollingAnswer{scores[i].sum, tokens};
  }
  return batches;
}

/// Those that are generated in trie order.
Generator::Rows Generator::rows_of(std::span<const Request> requests, const ImageOptions& image) {
  Rows made{ScoringWork(requests.size()), {}, {}};
  if (folder().vision && std::ranges::any_of(requests, has_image))
    made.images = ShardImages(requests, image_processor(image), folder().vocabulary());
  made.scoring.errors = errors_of_each(requests.size(), [&](std::size_t i) {
    if (std::holds_alternative<Generate>(requests[i].ask))
      made.generation.push_back(rows().generation(requests[i], i, made.images));
    else
      rows().score(requests[i], i, made.scoring, made.images);
  });
  std::ranges::stable_sort(made.generation, {}, &GenerationRow::prompt);
  return made;
}

/// All rows of the shard are one batch: a step is too small to be one. Equal greedy rows are computed once.
void Generator::generate_all(const ShardRun& shard, const std::vector<GenerationRow>& all, std::uint32_t batch,
                             BatchCleanup& cleanup, const Announce& announce, std::vector<Response>& responses) {
  if (all.empty()) return;
  std::vector<GenerationRow> rows;
  std::vector<std::uint32_t> members;
  for (const GenerationRow& row : all) members.push_back(static_cast<std::uint32_t>(row.request));
  const bool apart = shard.request_by_request(batch, members);
  std::vector<std::size_t> computed_by;  // of each of `all`: its index in `rows`
  for (const GenerationRow& row : all) {
    const auto same = std::ranges::find_if(rows, [&](const auto& other) { return !apart && same_greedy(row, other); });
    computed_by.push_back(static_cast<std::size_t>(same - rows.begin()));
    if (same == rows.end()) rows.push_back(row);
  }
  const BatchLimits limits = limits_of(shard);
  if (!apart) {
    announce({"generation of " + std::to_string(rows.size()) + " rows", batch, members});
    generation_.run(rows, limits, announce);
  }
  for (GenerationRow& row : rows) {
    const auto request = static_cast<std::uint32_t>(row.request);
    if (!apart || shard.left_out(request)) continue;
    announce({"generation of request " + std::to_string(request) + " alone", batch, {request}});
    generation_.run({&row, 1}, limits, announce);
  }
  cleanup.after_batch();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const GenerationRow& row = rows[computed_by[i]];
    if (row.broken) {
      responses[all[i].request].error = not_finite("logit");
      continue;
    }
    const auto& ask = std::get<Generate>(shard.requests[all[i].request].ask);
    responses[all[i].request].answer = answer_of(row, ask, codec());
  }
}

std::int64_t check(const ModelFolder& folder, TextCodec&, const Module& module) {
  return folder.seq2seq ? check_seq2seq_generator(folder, module) : row_limit(folder, module);
}

std::shared_ptr<OpenModule> open(const Module& module, Device& device, Communicator& gang, const Announce& announce) {
  const bool seq2seq = read_model_folder(module.path).seq2seq.has_value();
  return seq2seq ? open_seq2seq_generator(module, device, gang, announce)
                 : open_as<Generator>(module, device, gang, announce);
}

}  // namespace

const Kind& generator_kind() {
  static const Kind kind{"generator", open, check};
  return kind;
}

}  // namespace proctor
