// The kind `embedding`: an encoder whose token states are pooled to one vector a text, as sentence-transformers does.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <cstring>

#include "sharding/error.h"
#include "worker/clock.h"
#include "worker/kinds/decoder_module.h"
#include "worker/kinds/encoder_module.h"
#include "worker/kinds/sentence_settings.h"
#include "worker/tokenizer/unicode.h"

namespace proctor {
namespace {

/// A prompt stands before the text where the model has one.
Encoding encoded(TextCodec& codec, const SentenceSettings& settings, const Request& request, std::int64_t max_tokens) {
  std::string text = settings.prompt(request.ask.value("prompts", std::vector<std::string>{}));
  text += request.parts.at(0);
  return codec.encode_at_most(settings.lower_case ? lower_case(text) : text, static_cast<std::size_t>(max_tokens));
}

/// torch.nn.functional.normalize of each row, where the model says so.
at::Tensor normalized(const at::Tensor& vectors, const SentenceSettings& settings) {
  return settings.normalize ? vectors / vectors.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12) : vectors;
}

/// [vector, tokens, truncated]; the vector float32.
nlohmann::json answer_vector(const at::Tensor& vector, std::size_t tokens, std::size_t truncated) {
  const at::Tensor dense = vector.cpu().contiguous();
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(dense.numel()) * sizeof(float));
  std::memcpy(bytes.data(), dense.const_data_ptr<float>(), bytes.size());
  return {nlohmann::json::binary(std::move(bytes)), tokens, truncated};
}

class Embedding final : public EncoderModule {
 public:
  Embedding(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : EncoderModule(module, device, gang, announce),
        settings_(read_sentence_settings(module.path)),
        max_tokens_(module.max_length.value_or(settings_.max_tokens.value_or(folder().max_length))) {}

 private:
  TextRow row_of(const Request& request) override { return {encoded(codec(), settings_, request, max_tokens_), {}}; }
  void compute(std::span<const TextRow> rows, std::vector<Response>& responses) const override;
  at::Tensor pooled(const at::Tensor& states, std::span<const TextRow> rows) const;

  SentenceSettings settings_;
  std::int64_t max_tokens_;
};

void Embedding::compute(std::span<const TextRow> rows, std::vector<Response>& responses) const {
  const at::Tensor vectors = normalized(pooled(states_of(packed(rows)), rows), settings_).cpu();
  for (std::size_t i = 0; i < rows.size(); ++i)
    responses[rows[i].requests[0]].value =
        answer_vector(vectors[static_cast<std::int64_t>(i)], rows[i].encoding.ids.size(), rows[i].encoding.truncated);
}

/// [texts, hidden], float32.
at::Tensor Embedding::pooled(const at::Tensor& states, std::span<const TextRow> rows) const {
  const at::Tensor out =
      at::empty({static_cast<std::int64_t>(rows.size()), states.size(1)}, states.options().dtype(at::kFloat));
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto length = static_cast<std::int64_t>(rows[i].encoding.ids.size());
    const at::Tensor mine = states.narrow(0, begin, length);
    const at::Tensor vector = settings_.pooling == Pooling::mean  ? mine.to(at::kFloat).mean(0)
                              : settings_.pooling == Pooling::cls ? mine[0].to(at::kFloat)
                                                                  : mine[length - 1].to(at::kFloat);
    out[static_cast<std::int64_t>(i)].copy_(vector);
    begin += length;
  }
  return out;
}

/// A decoder's vector of a text is its last token's state; what texts begin with alike, an instruction, is computed
/// once.
class DecoderEmbedding final : public DecoderModule {
 public:
  DecoderEmbedding(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : DecoderModule(module, device, gang, announce),
        settings_(read_sentence_settings(module.path)),
        max_tokens_(module.max_length.value_or(settings_.max_tokens.value_or(folder().max_length))) {}

  std::vector<Response> run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) override {
    const at::NoGradGuard no_grad;
    std::vector<Response> responses(shard.requests.size());
    const auto begin = Clock::now();
    ScoringWork work;
    work.truncated.resize(shard.requests.size(), 0);
    for (std::size_t i = 0; i < shard.requests.size(); ++i) try {
        const Encoding encoding = encoded(codec(), settings_, shard.requests[i], max_tokens_);
        if (encoding.ids.empty()) throw InputError("the text has no token");
        work.rows.push_back({rows().in_range(encoding.ids), {0}});  // a target, so that the last position is there
        work.owners.push_back(i);
        work.truncated[i] = static_cast<std::int64_t>(encoding.truncated);
      } catch (const InputError& error) {
        responses[i].error = error.what();
      }
    tokenize_s_ += seconds_since(begin);
    run_batches(work, shard, cleanup, announce, [&](const Batch& batch) {
      if (batch.paths.empty()) return;
      const at::Tensor vectors = normalized(last_states(decoder(), batch, prefix()).to(at::kFloat), settings_);
      for (std::size_t i = 0; i < batch.paths.size(); ++i) {
        const std::size_t row = batch.paths[i].row, request = work.owners[row];
        if (batch.paths[i].scored > 0)  // not a part before the last
          responses[request].value = answer_vector(vectors[static_cast<std::int64_t>(i)], work.rows[row].tokens.size(),
                                                   static_cast<std::size_t>(work.truncated[request]));
      }
    });
    return responses;
  }

 private:
  SentenceSettings settings_;
  std::int64_t max_tokens_;
};

void check(const ModelFolder& folder, const Module& module) {
  if (folder.encoder) return;
  if (read_sentence_settings(folder.path).pooling != Pooling::last_token)
    throw InputError("module " + module.name + ": " + folder.path +
                     ": a decoder's texts are pooled by their last token (pooling_mode_lasttoken), no other way is "
                     "supported");
}

std::shared_ptr<OpenModule> open(const Module& module, Device& device, Communicator& gang, const Announce& announce) {
  const bool encoder = read_model_folder(module.path).encoder.has_value();
  return encoder ? open_as<Embedding>(module, device, gang, announce)
                 : open_as<DecoderEmbedding>(module, device, gang, announce);
}

}  // namespace

const Kind& embedding_kind() {
  static const Kind kind{"embedding", {"embed"}, open, check};
  return kind;
}

}  // namespace proctor
