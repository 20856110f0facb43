#include "worker/kinds/generator.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "sharding/error.h"
#include "worker/batcher.h"
#include "worker/generation_text.h"
#include "worker/greedy_decoding.h"
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

/// What a shard's scoring requests come to: rows, and whose each is. A rolling request has one row per window.
struct ScoringWork {
  std::vector<ScoredRow> rows;
  std::vector<std::size_t> owners;      // of each row: its request
  std::vector<std::int64_t> truncated;  // of each request: tokens cut off the left
};

class Generator final : public OpenModule {
 public:
  Generator(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : folder_(read_model_folder(module.path)),
        codec_(folder_, module.add_bos_token),
        max_length_(module.max_length.value_or(folder_.max_length)),
        weights_(Checkpoint(module.path), decoder_parameters(member_config(folder_.decoder, share_of(gang))),
                 member_sources(folder_.decoder, share_of(gang)),
                 at::TensorOptions().dtype(scalar_type(module.dtype, folder_.checkpoint_dtype)).device(device.torch()),
                 announce),
        decoder_(folder_.decoder, weights_, gang),
        decoding_(decoder_, codec_, folder_.generation) {}

  std::vector<Response> run(std::span<const Request> requests, std::int64_t max_batch_tokens, BatchCleanup& cleanup,
                            const Announce& announce) override {
    const at::NoGradGuard no_grad;
    std::vector<Response> responses(requests.size());
    score_all(requests, max_batch_tokens, cleanup, announce, responses);
    generate_all(requests, max_batch_tokens, cleanup, announce, responses);
    return responses;
  }
  void drop_batches() override {}
  std::uint64_t tokens_computed() const override { return scored_tokens_ + decoding_.tokens_computed(); }
  std::uint64_t bytes_read() const override { return weights_.bytes_read(); }

 private:
  /// An id past the embedding's rows (a token the tokenizer has and the model lacks) costs its request only.
  const std::vector<std::int32_t>& in_range(const std::vector<std::int32_t>& ids) const;
  ScoringWork scoring_work(std::span<const Request> requests, std::vector<Response>& responses);
  ScoredRow loglikelihood_row(const Request& request, std::int64_t& truncated);
  void score_all(std::span<const Request> requests, std::int64_t max_batch_tokens, BatchCleanup& cleanup,
                 const Announce& announce, std::vector<Response>& responses);
  GenerationRow generation_row(const Request& request, std::size_t index);
  void generate_all(std::span<const Request> requests, std::int64_t max_batch_tokens, BatchCleanup& cleanup,
                    const Announce& announce, std::vector<Response>& responses);

  ModelFolder folder_;
  TextCodec codec_;
  std::int64_t max_length_;
  Weights weights_;
  Decoder decoder_;
  GreedyDecoding decoding_;
  std::uint64_t scored_tokens_ = 0;
};

ScoredRow Generator::loglikelihood_row(const Request& request, std::int64_t& truncated) {
  const auto [context, continuation] = codec_.encode_pair(request.parts.at(0), request.parts.at(1));
  if (static_cast<std::int64_t>(continuation.size()) > max_length_)
    throw InputError("continuation of " + std::to_string(continuation.size()) + " tokens is longer than max_length " +
                     std::to_string(max_length_));
  std::vector<std::int32_t> all = context;
  all.insert(all.end(), continuation.begin(), continuation.end());
  const auto room = static_cast<std::size_t>(max_length_) + 1;
  if (all.size() > room) {
    truncated = static_cast<std::int64_t>(all.size() - room);
    if (request.ask.value("fail_on_long", false))
      throw InputError("context and continuation of " + std::to_string(all.size()) +
                       " tokens are longer than max_length " + std::to_string(max_length_) + " (on_long: fail)");
    all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(room));
  }
  in_range(all);
  all.pop_back();
  return {std::move(all), continuation};
}

const std::vector<std::int32_t>& Generator::in_range(const std::vector<std::int32_t>& ids) const {
  for (std::int32_t id : ids)
    if (id < 0 || id >= folder_.decoder.vocabulary)
      throw InputError("token id " + std::to_string(id) + " is outside the model's vocabulary of " +
                       std::to_string(folder_.decoder.vocabulary));
  return ids;
}

ScoringWork Generator::scoring_work(std::span<const Request> requests, std::vector<Response>& responses) {
  ScoringWork work;
  work.truncated.resize(requests.size(), 0);
  const auto add = [&](ScoredRow row, std::size_t owner) {
    work.rows.push_back(std::move(row));
    work.owners.push_back(owner);
  };
  for (std::size_t i = 0; i < requests.size(); ++i) try {
      const std::string type = requests[i].ask.at("type");
      if (type == "loglikelihood") add(loglikelihood_row(requests[i], work.truncated[i]), i);
      if (type == "loglikelihood_rolling")
        for (ScoredRow& window :
             rolling_windows(in_range(codec_.encode(requests[i].parts.at(0))), codec_.prefix_id(), max_length_))
          add(std::move(window), i);
    } catch (const InputError& error) {
      responses[i].error = error.what();
    }
  return work;
}

void Generator::score_all(std::span<const Request> requests, std::int64_t max_batch_tokens, BatchCleanup& cleanup,
                          const Announce& announce, std::vector<Response>& responses) {
  const ScoringWork work = scoring_work(requests, responses);
  BatchLimits limits;
  limits.max_batch_tokens = max_batch_tokens;
  limits.max_tree_tokens = std::min(limits.max_tree_tokens, static_cast<std::size_t>(max_batch_tokens));
  const std::vector<Batch> batches = make_batches(work.rows, limits);
  std::vector<RowScore> of_rows(work.rows.size()), scores(requests.size());
  for (std::size_t b = 0; b < batches.size(); ++b) {
    announce("batch " + std::to_string(b + 1) + " of " + std::to_string(batches.size()));
    score_batch(decoder_, batches[b], work.rows, of_rows);
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
}

GenerationRow Generator::generation_row(const Request& request, std::size_t index) {
  GenerationRow row{
      index, codec_.encode(request.parts.at(0)), {}, request.ask.at("until"), request.ask.at("max_gen_toks"), 0};
  if (!codec_.eos_text().empty()) row.stops.push_back(codec_.eos_text());
  const std::int64_t room = max_length_ - row.max_new;  // as lm-eval: by what was asked for
  if (room <= 0)
    throw InputError("max_gen_toks " + std::to_string(row.max_new) + " leaves no room for a context in max_length " +
                     std::to_string(max_length_));
  if (row.prompt.empty()) row.prompt = {codec_.prefix_id()};
  in_range(row.prompt);
  row.truncated = std::max<std::int64_t>(0, static_cast<std::int64_t>(row.prompt.size()) - room);
  if (row.truncated && request.ask.value("fail_on_long", false))
    throw InputError("context of " + std::to_string(row.prompt.size()) + " tokens is longer than " +
                     std::to_string(room) + " (on_long: fail)");
  row.prompt.erase(row.prompt.begin(), row.prompt.begin() + row.truncated);
  row.max_new = folder_.generation.max_new_tokens.value_or(row.max_new);
  return row;
}

void Generator::generate_all(std::span<const Request> requests, std::int64_t max_batch_tokens, BatchCleanup& cleanup,
                             const Announce& announce, std::vector<Response>& responses) {
  std::vector<GenerationRow> rows;
  for (std::size_t i = 0; i < requests.size(); ++i) try {
      if (requests[i].ask.at("type") == "generate_until") rows.push_back(generation_row(requests[i], i));
    } catch (const InputError& error) {
      responses[i].error = error.what();
    }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.prompt.size() > b.prompt.size(); });
  for (std::size_t begin = 0; begin < rows.size();) {
    std::size_t end = begin;
    const auto capacity = static_cast<std::int64_t>(rows[begin].prompt.size()) + rows[begin].max_new;
    while (end < rows.size() && (end == begin || static_cast<std::int64_t>(end - begin + 1) * capacity <=
                                                     kGenerationFactor * max_batch_tokens))
      ++end;
    announce("generation of rows " + std::to_string(begin + 1) + " to " + std::to_string(end) + " of " +
             std::to_string(rows.size()));
    decoding_.run(std::span(rows).subspan(begin, end - begin), announce);
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
