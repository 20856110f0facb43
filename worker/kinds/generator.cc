#include "worker/kinds/generator.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sharding/error.h"
#include "worker/batcher.h"
#include "worker/generation_text.h"
#include "worker/kv_cache.h"
#include "worker/models/decoder.h"
#include "worker/models/families.h"
#include "worker/text_codec.h"
#include "worker/tree_attention.h"

namespace proctor {
namespace {

constexpr std::int64_t kHeadRows = 512;          // logits are never [tokens, vocabulary] at once
constexpr std::int64_t kVocabularyChunk = 8192;  // the same at every tensor-parallel size
constexpr std::int64_t kGenerationFactor = 8;    // KV positions of a generation batch, in max_batch_tokens

at::ScalarType scalar_type(DType dtype, const std::string& checkpoint) {
  const DType chosen = dtype == DType::automatic ? dtype_from(checkpoint).value_or(DType::float32) : dtype;
  return chosen == DType::bfloat16 ? at::kBFloat16 : chosen == DType::float16 ? at::kHalf : at::kFloat;
}

at::Tensor to_tensor(const std::vector<std::int32_t>& values, const at::Device& device) {
  return at::tensor(values, at::kInt).to(at::kLong).to(device);
}

/// One scored sequence of a request: a loglikelihood has one, a rolling one has one per window.
struct Scored {
  std::size_t request;
  ScoredRow row;
};

struct Score {
  double sum = 0;  // natural log
  bool greedy = true;
  std::int64_t tokens = 0, truncated = 0;
};

struct GenerationRow {
  std::size_t request;
  std::vector<std::int32_t> prompt, generated;
  std::vector<std::string> stops;
  std::int64_t max_new = 0, truncated = 0;
};

class Generator final : public OpenModule {
 public:
  Generator(const Module& module, Device& device, const Announce& announce)
      : folder_(read_model_folder(module.path)),
        codec_(folder_, module.add_bos_token),
        device_(device),
        max_length_(module.max_length.value_or(folder_.max_length)),
        weights_(Checkpoint(module.path), decoder_parameters(folder_.decoder), decoder_weight_sources(folder_.decoder),
                 at::TensorOptions().dtype(scalar_type(module.dtype, folder_.checkpoint_dtype)).device(device.torch()),
                 announce),
        decoder_(folder_.decoder, weights_) {}

  std::vector<Response> run(std::span<const Request> requests, std::int64_t max_batch_tokens, BatchCleanup& cleanup,
                            const Announce& announce) override {
    const at::NoGradGuard no_grad;
    std::vector<Response> responses(requests.size());
    score_all(requests, max_batch_tokens, cleanup, announce, responses);
    generate_all(requests, max_batch_tokens, cleanup, announce, responses);
    return responses;
  }
  void drop_batches() override {}
  std::uint64_t tokens_computed() const override { return tokens_; }
  std::uint64_t bytes_read() const override { return weights_.bytes_read(); }

 private:
  // ---- scoring
  std::vector<Scored> scored_rows(std::span<const Request> requests, std::vector<Response>& responses,
                                  std::vector<Score>& scores);
  ScoredRow loglikelihood_row(const Request& request, Score& score);
  void score_all(std::span<const Request> requests, std::int64_t max_batch_tokens, BatchCleanup& cleanup,
                 const Announce& announce, std::vector<Response>& responses);
  void score_batch(const Batch& batch, const std::vector<Scored>& rows, std::vector<Score>& scores);
  // ---- generation
  GenerationRow generation_row(const Request& request, std::size_t index);
  void generate_all(std::span<const Request> requests, std::int64_t max_batch_tokens, BatchCleanup& cleanup,
                    const Announce& announce, std::vector<Response>& responses);
  void generate_batch(std::span<GenerationRow> rows, const Announce& announce);
  at::Tensor prefill(std::span<GenerationRow> rows, KvCache& cache);
  at::Tensor step(const std::vector<std::int32_t>& tokens, KvCache& cache);
  std::vector<std::int32_t> choose(at::Tensor logits, const std::vector<GenerationRow*>& rows) const;
  bool finished(GenerationRow& row, std::int32_t token) const;

  ModelFolder folder_;
  TextCodec codec_;
  Device& device_;
  std::int64_t max_length_;
  Weights weights_;
  Decoder decoder_;
  std::uint64_t tokens_ = 0;
};

ScoredRow Generator::loglikelihood_row(const Request& request, Score& score) {
  const auto [context, continuation] = codec_.encode_pair(request.parts.at(0), request.parts.at(1));
  if (static_cast<std::int64_t>(continuation.size()) > max_length_)
    throw InputError("continuation of " + std::to_string(continuation.size()) + " tokens is longer than max_length " +
                     std::to_string(max_length_));
  std::vector<std::int32_t> all = context;
  all.insert(all.end(), continuation.begin(), continuation.end());
  const auto room = static_cast<std::size_t>(max_length_) + 1;
  if (all.size() > room) {
    score.truncated = static_cast<std::int64_t>(all.size() - room);
    if (request.ask.value("fail_on_long", false))
      throw InputError("context and continuation of " + std::to_string(all.size()) +
                       " tokens are longer than max_length " + std::to_string(max_length_) + " (on_long: fail)");
    all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(room));
  }
  all.pop_back();
  return {std::move(all), continuation};
}

std::vector<Scored> Generator::scored_rows(std::span<const Request> requests, std::vector<Response>& responses,
                                           std::vector<Score>& scores) {
  std::vector<Scored> rows;
  for (std::size_t i = 0; i < requests.size(); ++i) try {
      const std::string type = requests[i].ask.at("type");
      if (type == "loglikelihood") rows.push_back({i, loglikelihood_row(requests[i], scores[i])});
      if (type == "loglikelihood_rolling")
        for (ScoredRow& window :
             rolling_windows(codec_.encode(requests[i].parts.at(0)), codec_.prefix_id(), max_length_))
          rows.push_back({i, std::move(window)});
    } catch (const InputError& error) {
      responses[i].error = error.what();
    }
  return rows;
}

void Generator::score_all(std::span<const Request> requests, std::int64_t max_batch_tokens, BatchCleanup& cleanup,
                          const Announce& announce, std::vector<Response>& responses) {
  std::vector<Score> scores(requests.size());
  const std::vector<Scored> rows = scored_rows(requests, responses, scores);
  std::vector<ScoredRow> plain;
  for (const Scored& scored : rows) plain.push_back(scored.row);
  BatchLimits limits;
  limits.max_batch_tokens = max_batch_tokens;
  const std::vector<Batch> batches = make_batches(plain, limits);
  for (std::size_t b = 0; b < batches.size(); ++b) {
    announce("batch " + std::to_string(b + 1) + " of " + std::to_string(batches.size()));
    score_batch(batches[b], rows, scores);
    cleanup.after_batch();
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (!responses[i].error.empty()) continue;
    const std::string type = requests[i].ask.at("type");
    if (type == "loglikelihood")
      responses[i].value = {scores[i].sum, scores[i].greedy, scores[i].tokens, scores[i].truncated};
    if (type == "loglikelihood_rolling") responses[i].value = {scores[i].sum, scores[i].tokens};
  }
}

/// logsumexp over fixed chunks of the vocabulary: logits [rows, vocabulary] float32 -> [rows] float32.
at::Tensor chunked_log_sum_exp(const at::Tensor& logits) {
  std::vector<at::Tensor> parts;
  for (std::int64_t begin = 0; begin < logits.size(1); begin += kVocabularyChunk)
    parts.push_back(at::logsumexp(logits.narrow(1, begin, std::min(kVocabularyChunk, logits.size(1) - begin)), {1}));
  return parts.size() == 1 ? parts[0] : at::logsumexp(at::stack(parts, 1), {1});
}

void Generator::score_batch(const Batch& batch, const std::vector<Scored>& rows, std::vector<Score>& scores) {
  std::vector<std::int32_t> tokens, positions, slots, targets;
  std::vector<std::size_t> owners;  // of each scored position: index into `rows`
  for (const Tree& tree : batch.trees) {
    const auto base = static_cast<std::int32_t>(tokens.size());
    tokens.insert(tokens.end(), tree.tokens.begin(), tree.tokens.end());
    positions.insert(positions.end(), tree.positions.begin(), tree.positions.end());
    for (std::size_t r = 0; r < tree.rows.size(); ++r) {
      for (std::int32_t slot : tree.paths[r]) slots.push_back(base + slot);
      const auto& wanted = rows[tree.rows[r]].row.targets;
      targets.insert(targets.end(), wanted.begin(), wanted.end());
      owners.insert(owners.end(), wanted.size(), tree.rows[r]);
    }
  }
  tokens_ += tokens.size();
  const at::Device device = device_.torch();
  const TreeAttention attention(batch, decoder_.config(), decoder_.options());
  const at::Tensor states = decoder_.forward(
      to_tensor(tokens, device), to_tensor(positions, device),
      [&](auto layer, const auto& q, const auto& k, const auto& v) { return attention(layer, q, k, v); });
  const at::Tensor scored = states.index_select(0, to_tensor(slots, device)), wanted = to_tensor(targets, device);
  for (std::int64_t begin = 0; begin < scored.size(0); begin += kHeadRows) {
    const std::int64_t count = std::min(kHeadRows, scored.size(0) - begin);
    const at::Tensor logits = decoder_.logits(scored.narrow(0, begin, count));
    const at::Tensor target = wanted.narrow(0, begin, count);
    const at::Tensor log_p =
        (at::gather(logits, 1, target.unsqueeze(1)).squeeze(1) - chunked_log_sum_exp(logits)).to(at::kDouble).cpu();
    const at::Tensor greedy = logits.argmax(1).eq(target).cpu();
    for (std::int64_t i = 0; i < count; ++i) {
      Score& score = scores[rows[owners[static_cast<std::size_t>(begin + i)]].request];
      score.sum += log_p.data_ptr<double>()[i];
      score.greedy = score.greedy && greedy.data_ptr<bool>()[i];
      ++score.tokens;
    }
  }
}

GenerationRow Generator::generation_row(const Request& request, std::size_t index) {
  GenerationRow row{
      index, codec_.encode(request.parts.at(0)), {}, request.ask.at("until"), request.ask.at("max_gen_toks"), 0};
  if (!codec_.eos_text().empty()) row.stops.push_back(codec_.eos_text());
  const std::int64_t room = max_length_ - row.max_new;
  if (room <= 0)
    throw InputError("max_gen_toks " + std::to_string(row.max_new) + " leaves no room for a context in max_length " +
                     std::to_string(max_length_));
  if (row.prompt.empty()) row.prompt = {codec_.prefix_id()};
  row.truncated = std::max<std::int64_t>(0, static_cast<std::int64_t>(row.prompt.size()) - room);
  if (row.truncated && request.ask.value("fail_on_long", false))
    throw InputError("context of " + std::to_string(row.prompt.size()) + " tokens is longer than " +
                     std::to_string(room) + " (on_long: fail)");
  row.prompt.erase(row.prompt.begin(), row.prompt.begin() + row.truncated);
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
    generate_batch(std::span(rows).subspan(begin, end - begin), announce);
    cleanup.after_batch();
    begin = end;
  }
  for (GenerationRow& row : rows)
    responses[row.request].value = {cut_at_stops(codec_.decode(row.generated), row.stops), row.generated.size(),
                                    row.truncated};
}

/// The prompts, packed, one causal chain each; their keys and values go to the cache. Returns logits [rows,
/// vocabulary].
at::Tensor Generator::prefill(std::span<GenerationRow> rows, KvCache& cache) {
  std::vector<at::Tensor> last;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const auto row = static_cast<std::int64_t>(r);
    const auto length = static_cast<std::int64_t>(rows[r].prompt.size());
    std::vector<std::int32_t> positions(rows[r].prompt.size());
    std::iota(positions.begin(), positions.end(), 0);
    Batch batch;
    batch.trees.push_back({rows[r].prompt, positions, {}, {}, {}, true});
    const TreeAttention attention(batch, decoder_.config(), decoder_.options());
    const at::Tensor states =
        decoder_.forward(to_tensor(rows[r].prompt, device_.torch()), to_tensor(positions, device_.torch()),
                         [&](auto layer, const auto& q, const auto& k, const auto& v) {
                           cache.write_prompt(layer, row, k, v);
                           return attention(layer, q, k, v);
                         });
    cache.set_length(row, length);
    tokens_ += static_cast<std::uint64_t>(length);
    last.push_back(states.narrow(0, length - 1, 1));
  }
  return decoder_.logits(at::cat(last, 0));
}

/// One token of each row. Returns logits [rows, vocabulary].
at::Tensor Generator::step(const std::vector<std::int32_t>& tokens, KvCache& cache) {
  std::vector<std::int32_t> positions;
  for (std::int64_t row = 0; row < cache.rows(); ++row)
    positions.push_back(static_cast<std::int32_t>(cache.length(row)));
  cache.begin_step();
  const CachedAttention attention(cache, decoder_.config(), decoder_.options());
  const at::Tensor states = decoder_.forward(
      to_tensor(tokens, device_.torch()), to_tensor(positions, device_.torch()),
      [&](auto layer, const auto& q, const auto& k, const auto& v) { return attention(layer, q, k, v); });
  cache.end_step();
  tokens_ += tokens.size();
  return decoder_.logits(states);
}

/// Greedy, after the repetition penalty over prompt and generated tokens (logits [rows, vocabulary], float32).
std::vector<std::int32_t> Generator::choose(at::Tensor logits, const std::vector<GenerationRow*>& rows) const {
  const double penalty = folder_.generation.repetition_penalty;
  for (std::size_t r = 0; penalty != 1.0 && r < rows.size(); ++r) {
    std::vector<std::int32_t> seen = rows[r]->prompt;
    seen.insert(seen.end(), rows[r]->generated.begin(), rows[r]->generated.end());
    const at::Tensor ids = to_tensor(seen, logits.device());
    const at::Tensor row = logits[static_cast<std::int64_t>(r)], values = row.index_select(0, ids);
    row.scatter_(0, ids, at::where(values < 0, values * penalty, values / penalty));
  }
  const at::Tensor best = logits.argmax(1).to(at::kInt).cpu();
  return {best.data_ptr<std::int32_t>(), best.data_ptr<std::int32_t>() + best.numel()};
}

bool Generator::finished(GenerationRow& row, std::int32_t token) const {
  row.generated.push_back(token);
  if (std::ranges::find(folder_.generation.eos_ids, token) != folder_.generation.eos_ids.end()) return true;
  if (static_cast<std::int64_t>(row.generated.size()) >= row.max_new) return true;
  return has_stop(codec_.decode(row.generated), row.stops);
}

void Generator::generate_batch(std::span<GenerationRow> rows, const Announce& announce) {
  std::int64_t capacity = 0;
  for (const GenerationRow& row : rows)
    capacity = std::max(capacity, static_cast<std::int64_t>(row.prompt.size()) + row.max_new);
  const DecoderConfig& config = decoder_.config();
  KvCache cache(config.layers, static_cast<std::int64_t>(rows.size()), config.kv_heads, capacity, config.head_dim,
                decoder_.options());
  std::vector<GenerationRow*> active;
  for (GenerationRow& row : rows) active.push_back(&row);
  at::Tensor logits = prefill(rows, cache);
  for (std::uint64_t decoded = 1; !active.empty(); ++decoded) {
    const std::vector<std::int32_t> chosen = choose(logits, active);
    std::vector<std::int64_t> kept;
    std::vector<std::int32_t> tokens;
    std::vector<GenerationRow*> going;
    for (std::size_t r = 0; r < active.size(); ++r) {
      if (finished(*active[r], chosen[r])) continue;
      kept.push_back(static_cast<std::int64_t>(r));
      tokens.push_back(chosen[r]);
      going.push_back(active[r]);
    }
    if (going.empty()) return;
    if (going.size() < active.size()) cache.keep(kept);
    active = std::move(going);
    announce("decode step " + std::to_string(decoded));
    logits = step(tokens, cache);
  }
}

}  // namespace

std::shared_ptr<OpenModule> open_generator(const Module& module, Device& device, const Announce& announce) {
  return std::make_shared<Generator>(module, device, announce);
}

}  // namespace proctor
