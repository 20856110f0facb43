#include "worker/kinds/generator.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <map>
#include <set>

#include "sharding/error.h"
#include "worker/batcher.h"
#include "worker/clock.h"
#include "worker/generation_loop.h"
#include "worker/generation_text.h"
#include "worker/kinds/request_rows.h"
#include "worker/models/families.h"
#include "worker/scoring.h"
#include "worker/text_codec.h"

namespace proctor {
namespace {

/// Ascending.
std::vector<std::uint32_t> requests_of(const Batch& batch, const ScoringWork& work) {
  std::set<std::uint32_t> requests;
  for (const RowPath& path : batch.paths) requests.insert(static_cast<std::uint32_t>(work.owners[path.row]));
  return {requests.begin(), requests.end()};
}

bool same_greedy(const GenerationRow& a, const GenerationRow& b) {
  return a.sampling.is_greedy() && b.sampling.is_greedy() && a.prompt == b.prompt && a.stops == b.stops &&
         a.max_new == b.max_new && a.repetition_penalty == b.repetition_penalty && a.truncated == b.truncated;
}

class Generator final : public OpenModule {
 public:
  Generator(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : folder_(read_model_folder(module.path)),
        codec_(folder_, module.add_bos_token),
        rows_(folder_, codec_, module.max_length.value_or(folder_.max_length)),
        weights_(Checkpoint(module.path), decoder_parameters(member_config(folder_.decoder, share_of(gang))),
                 member_sources(folder_.decoder, share_of(gang)),
                 at::TensorOptions().dtype(scalar_type(module.dtype, folder_.checkpoint_dtype)).device(device.torch()),
                 announce),
        decoder_(folder_.decoder, weights_, gang),
        prefix_(decoder_),
        generation_(decoder_, codec_, folder_.generation.eos_ids, prefix_) {}

  std::vector<Response> run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) override {
    const at::NoGradGuard no_grad;
    std::vector<Response> responses(shard.requests.size());
    const std::uint32_t batches = score_all(shard, cleanup, announce, responses);
    generate_all(shard, batches, cleanup, announce, responses);
    return responses;
  }
  void drop_batches() override { prefix_.clear(); }
  Computed computed() const override { return {decoder_.tokens_computed(), decoder_.flops_computed(), tokenize_s_}; }
  double seconds_of_products() override {
    const at::NoGradGuard no_grad;
    return decoder_.seconds_of_products();
  }
  std::uint64_t bytes_read() const override { return weights_.bytes_read(); }

 private:
  /// Returns how many batches that were.
  std::uint32_t score_all(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce,
                          std::vector<Response>& responses);
  void score(const Batch& batch, const std::vector<ScoredRow>& rows, const BatchLimits& limits,
             const Announce& announce, std::vector<RowScore>& scores);
  void score_request_by_request(const ShardRun& shard, const ScoringWork& work, const Batch& batch,
                                const BatchLimits& limits, std::uint32_t number, const Announce& announce,
                                std::vector<RowScore>& of_rows);
  void generate_all(const ShardRun& shard, std::uint32_t batch, BatchCleanup& cleanup, const Announce& announce,
                    std::vector<Response>& responses);
  std::vector<GenerationRow> generation_rows(std::span<const Request> requests, std::vector<Response>& responses) const;

  ModelFolder folder_;
  TextCodec codec_;
  RequestRows rows_;
  Weights weights_;
  Decoder decoder_;
  PrefixCache prefix_;
  GenerationLoop generation_;
  double tokenize_s_ = 0;
};

std::uint32_t Generator::score_all(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce,
                                   std::vector<Response>& responses) {
  const std::span<const Request> requests = shard.requests;
  const auto begin = Clock::now();
  const ScoringWork work = rows_.scoring(requests, responses);
  tokenize_s_ += seconds_since(begin);
  BatchLimits limits;
  limits.max_batch_tokens = shard.max_batch_tokens;
  const std::vector<Batch> batches = make_batches(work.rows, limits);
  std::vector<RowScore> of_rows(work.rows.size()), scores(requests.size());
  for (std::uint32_t b = 0; b < batches.size(); ++b) {
    const std::vector<std::uint32_t> members = requests_of(batches[b], work);
    if (shard.request_by_request(b, members)) {
      score_request_by_request(shard, work, batches[b], limits, b, announce, of_rows);
    } else {
      announce({"batch " + std::to_string(b + 1) + " of " + std::to_string(batches.size()), b, members});
      score(batches[b], work.rows, limits, announce, of_rows);
    }
    cleanup.after_batch();
  }
  for (std::size_t r = 0; r < work.rows.size(); ++r) {  // windows of a text are added in their order
    RowScore& score = scores[work.owners[r]];
    score.sum += of_rows[r].sum;
    score.greedy = score.greedy && of_rows[r].greedy;
    score.tokens += of_rows[r].tokens;
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (!responses[i].error.empty()) continue;
    const std::string type = requests[i].ask.at("type");
    if (type == "loglikelihood")
      responses[i].value = {scores[i].sum, scores[i].greedy, scores[i].tokens, work.truncated[i]};
    if (type == "loglikelihood_rolling") responses[i].value = {scores[i].sum, scores[i].tokens};
  }
  return static_cast<std::uint32_t>(batches.size());
}

void Generator::score(const Batch& batch, const std::vector<ScoredRow>& rows, const BatchLimits& limits,
                      const Announce& announce, std::vector<RowScore>& scores) {
  prefix_.bring(batch, rows, limits, announce);
  score_batch(decoder_, batch, rows, prefix_, scores);
}

/// Each request's rows in batches of their own.
void Generator::score_request_by_request(const ShardRun& shard, const ScoringWork& work, const Batch& batch,
                                         const BatchLimits& limits, std::uint32_t number, const Announce& announce,
                                         std::vector<RowScore>& of_rows) {
  std::map<std::uint32_t, std::vector<std::size_t>> rows_of;  // of each request in this batch
  for (const RowPath& path : batch.paths)
    rows_of[static_cast<std::uint32_t>(work.owners[path.row])].push_back(path.row);
  for (auto& [request, rows] : rows_of) {
    if (shard.left_out(request)) continue;
    announce(
        {"batch " + std::to_string(number + 1) + ", request " + std::to_string(request) + " alone", number, {request}});
    if (rows_of.size() == 1) {  // also where this is a part of a long row
      score(batch, work.rows, limits, announce, of_rows);
      continue;
    }
    std::ranges::sort(rows);
    std::vector<ScoredRow> alone;
    for (std::size_t row : rows) alone.push_back(work.rows[row]);
    std::vector<RowScore> scores(alone.size());
    for (const Batch& part : make_batches(alone, limits)) score(part, alone, limits, announce, scores);
    for (std::size_t i = 0; i < rows.size(); ++i) of_rows[rows[i]] = scores[i];
  }
}

/// In trie order. A request that cannot become a row has its error.
std::vector<GenerationRow> Generator::generation_rows(std::span<const Request> requests,
                                                      std::vector<Response>& responses) const {
  std::vector<GenerationRow> rows;
  for (std::size_t i = 0; i < requests.size(); ++i) try {
      if (requests[i].ask.at("type") == "generate_until") rows.push_back(rows_.generation(requests[i], i));
    } catch (const InputError& error) {
      responses[i].error = error.what();
    }
  std::ranges::stable_sort(rows, {}, &GenerationRow::prompt);
  return rows;
}

/// All rows of the shard are one batch: a step is too small to be one. Equal greedy rows are computed once.
void Generator::generate_all(const ShardRun& shard, std::uint32_t batch, BatchCleanup& cleanup,
                             const Announce& announce, std::vector<Response>& responses) {
  const auto begin = Clock::now();
  std::vector<GenerationRow> all = generation_rows(shard.requests, responses), rows;
  tokenize_s_ += seconds_since(begin);
  if (all.empty()) return;
  std::vector<std::uint32_t> members;
  for (const GenerationRow& row : all) members.push_back(static_cast<std::uint32_t>(row.request));
  const bool apart = shard.request_by_request(batch, members);
  std::vector<std::size_t> computed_by;  // of each of `all`: its index in `rows`
  for (const GenerationRow& row : all) {
    const auto same = std::ranges::find_if(rows, [&](const auto& other) { return !apart && same_greedy(row, other); });
    computed_by.push_back(static_cast<std::size_t>(same - rows.begin()));
    if (same == rows.end()) rows.push_back(row);
  }
  BatchLimits limits;
  limits.max_batch_tokens = shard.max_batch_tokens;
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
    responses[all[i].request].value = {cut_at_stops(codec_.decode(row.generated), row.stops), row.generated.size(),
                                       row.truncated};
  }
}

}  // namespace

std::shared_ptr<OpenModule> open_generator(const Module& module, Device& device, Communicator& gang,
                                           const Announce& announce) {
  return std::make_shared<Generator>(module, device, gang, announce);
}

}  // namespace proctor
