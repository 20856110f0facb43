#include "worker/kinds/generator.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <map>
#include <set>

#include "sharding/error.h"
#include "worker/batcher.h"
#include "worker/generation_text.h"
#include "worker/greedy_decoding.h"
#include "worker/kinds/request_rows.h"
#include "worker/models/families.h"
#include "worker/scoring.h"
#include "worker/text_codec.h"

namespace proctor {
namespace {

constexpr std::int64_t kGenerationFactor = 8;  // KV positions of a generation batch, in max_batch_tokens

at::ScalarType scalar_type(DType dtype, const std::string& checkpoint) {
  const DType chosen = dtype == DType::automatic ? dtype_from(checkpoint).value_or(DType::float32) : dtype;
  return chosen == DType::bfloat16 ? at::kBFloat16 : chosen == DType::float16 ? at::kHalf : at::kFloat;
}

/// Ascending.
std::vector<std::uint32_t> requests_of(const Batch& batch, const ScoringWork& work) {
  std::set<std::uint32_t> requests;
  for (const Tree& tree : batch.trees)
    for (std::size_t row : tree.rows) requests.insert(static_cast<std::uint32_t>(work.owners[row]));
  return {requests.begin(), requests.end()};
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
        decoding_(decoder_, codec_, folder_.generation) {}

  std::vector<Response> run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) override {
    const at::NoGradGuard no_grad;
    std::vector<Response> responses(shard.requests.size());
    const std::uint32_t batches = score_all(shard, cleanup, announce, responses);
    generate_all(shard, batches, cleanup, announce, responses);
    return responses;
  }
  void drop_batches() override {}
  std::uint64_t tokens_computed() const override { return scored_tokens_ + decoding_.tokens_computed(); }
  std::uint64_t bytes_read() const override { return weights_.bytes_read(); }

 private:
  /// Returns how many batches that were.
  std::uint32_t score_all(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce,
                          std::vector<Response>& responses);
  void score_request_by_request(const ShardRun& shard, const ScoringWork& work, const Batch& batch,
                                const BatchLimits& limits, std::uint32_t number, const Announce& announce,
                                std::vector<RowScore>& of_rows);
  void generate_all(const ShardRun& shard, std::uint32_t first_batch, BatchCleanup& cleanup, const Announce& announce,
                    std::vector<Response>& responses);

  ModelFolder folder_;
  TextCodec codec_;
  RequestRows rows_;
  Weights weights_;
  Decoder decoder_;
  GreedyDecoding decoding_;
  std::uint64_t scored_tokens_ = 0;
};

std::uint32_t Generator::score_all(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce,
                                   std::vector<Response>& responses) {
  const std::span<const Request> requests = shard.requests;
  const ScoringWork work = rows_.scoring(requests, responses);
  BatchLimits limits;
  limits.max_batch_tokens = shard.max_batch_tokens;
  limits.max_tree_tokens = std::min(limits.max_tree_tokens, static_cast<std::size_t>(shard.max_batch_tokens));
  const std::vector<Batch> batches = make_batches(work.rows, limits);
  std::vector<RowScore> of_rows(work.rows.size()), scores(requests.size());
  for (std::uint32_t b = 0; b < batches.size(); ++b) {
    const std::vector<std::uint32_t> members = requests_of(batches[b], work);
    if (shard.request_by_request(b, members)) {
      score_request_by_request(shard, work, batches[b], limits, b, announce, of_rows);
    } else {
      announce({"batch " + std::to_string(b + 1) + " of " + std::to_string(batches.size()), b, members});
      score_batch(decoder_, batches[b], work.rows, of_rows);
    }
    scored_tokens_ += batches[b].tokens;
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

/// Each request's rows in batches of their own.
void Generator::score_request_by_request(const ShardRun& shard, const ScoringWork& work, const Batch& batch,
                                         const BatchLimits& limits, std::uint32_t number, const Announce& announce,
                                         std::vector<RowScore>& of_rows) {
  std::map<std::uint32_t, std::vector<std::size_t>> rows_of;  // of each request in this batch
  for (const Tree& tree : batch.trees)
    for (std::size_t row : tree.rows) rows_of[static_cast<std::uint32_t>(work.owners[row])].push_back(row);
  for (auto& [request, rows] : rows_of) {
    if (shard.left_out(request)) continue;
    std::ranges::sort(rows);
    std::vector<ScoredRow> alone;
    for (std::size_t row : rows) alone.push_back(work.rows[row]);
    std::vector<RowScore> scores(alone.size());
    announce(
        {"batch " + std::to_string(number + 1) + ", request " + std::to_string(request) + " alone", number, {request}});
    for (const Batch& part : make_batches(alone, limits)) score_batch(decoder_, part, alone, scores);
    for (std::size_t i = 0; i < rows.size(); ++i) of_rows[rows[i]] = scores[i];
  }
}

void Generator::generate_all(const ShardRun& shard, std::uint32_t first_batch, BatchCleanup& cleanup,
                             const Announce& announce, std::vector<Response>& responses) {
  std::vector<GenerationRow> rows;
  for (std::size_t i = 0; i < shard.requests.size(); ++i) try {
      if (shard.requests[i].ask.at("type") == "generate_until") rows.push_back(rows_.generation(shard.requests[i], i));
    } catch (const InputError& error) {
      responses[i].error = error.what();
    }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.prompt.size() > b.prompt.size(); });
  std::uint32_t batch = first_batch;
  for (std::size_t begin = 0; begin < rows.size(); ++batch) {
    std::size_t end = begin;
    const auto capacity = static_cast<std::int64_t>(rows[begin].prompt.size()) + rows[begin].max_new;
    while (end < rows.size() && (end == begin || static_cast<std::int64_t>(end - begin + 1) * capacity <=
                                                     kGenerationFactor * shard.max_batch_tokens))
      ++end;
    const auto members = [&](std::size_t from, std::size_t to) {
      std::vector<std::uint32_t> requests;
      for (std::size_t r = from; r < to; ++r) requests.push_back(static_cast<std::uint32_t>(rows[r].request));
      return requests;
    };
    const auto generate = [&](std::size_t from, std::size_t to) {
      announce({"generation of rows " + std::to_string(from + 1) + " to " + std::to_string(to) + " of " +
                    std::to_string(rows.size()),
                batch, members(from, to)});
      decoding_.run(std::span(rows).subspan(from, to - from), announce);
    };
    const bool apart = shard.request_by_request(batch, members(begin, end));
    if (!apart) generate(begin, end);
    for (std::size_t r = begin; apart && r < end; ++r)
      if (!shard.left_out(static_cast<std::uint32_t>(rows[r].request))) generate(r, r + 1);
    cleanup.after_batch();
    begin = end;
  }
  for (GenerationRow& row : rows)
    responses[row.request].value = {cut_at_stops(codec_.decode(row.generated), row.stops), row.generated.size(),
                                    row.truncated};
}

}  // namespace

std::shared_ptr<OpenModule> open_generator(const Module& module, Device& device, Communicator& gang,
                                           const Announce& announce) {
  return std::make_shared<Generator>(module, device, gang, announce);
}

}  // namespace proctor
