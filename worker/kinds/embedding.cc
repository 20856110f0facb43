// The kind `embedding`: an encoder whose token states are pooled to one vector a text, as sentence-transformers does.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include "sharding/protocol/error.h"
#include "worker/checkpoint/families.h"
#include "worker/checkpoint/sentence_settings.h"
#include "worker/kernels/elementwise.h"
#include "worker/kinds/decoder_module.h"
#include "worker/kinds/each_request.h"
#include "worker/kinds/encoder_module.h"
#include "worker/kinds/options.h"
#include "worker/kinds/score.h"
#include "worker/tokenizer/unicode.h"

namespace proctor {
namespace {

std::int64_t max_tokens(const ModelFolder& folder, const Module& module, const SentenceSettings& settings) {
  const std::int64_t most = std::min(folder.max_length, folder.tokenizer.model_max_length.value_or(folder.max_length));
  return token_limit(folder, module, settings.max_tokens.value_or(most));
}

/// A prompt stands before the text where the model has one.
Encoding encoded(TextCodec& codec, const SentenceSettings& settings, const Request& request, std::int64_t max_tokens) {
  const auto* embed = std::get_if<Embed>(&request.ask);
  std::string text = settings.prompt(embed ? embed->prompts : std::vector<std::string>{});
  text = stripped(text + text_of(request, 0));  // as sentence-transformers
  return codec.encode_at_most(settings.lower_case ? lower_case(text) : text, static_cast<std::size_t>(max_tokens));
}

/// What lies behind the pooling, as sentence-transformers has it: products in float32, then
/// torch.nn.functional.normalize of each row, each where the model says so.
class AfterPooling {
 public:
  AfterPooling(const SentenceSettings& settings, const Device& device, const Announce& announce)
      : normalizes_(settings.normalize) {
    const at::TensorOptions options = at::TensorOptions().dtype(at::kFloat).device(device.torch());
    for (const DenseLayer& facts : settings.dense) {
      std::vector<WeightSource> sources = {{"weight", "linear.weight", 0, {facts.outputs, facts.inputs}}};
      if (facts.bias) sources.push_back({"bias", "linear.bias", 0, {facts.outputs}});
      const Weights weights(Checkpoint(facts.folder), parameters_of(sources), sources, options, announce);
      layers_.push_back(
          {weights.at("weight"), facts.bias ? std::optional(weights.at("bias")) : std::nullopt, facts.activation});
    }
  }
  /// vectors [texts, width], float32.
  at::Tensor operator()(at::Tensor vectors) const {
    for (const Layer& layer : layers_) {
      vectors = at::linear(vectors, layer.weight, layer.bias);
      if (layer.activation) vectors = activate(vectors, *layer.activation);
    }
    return normalizes_ ? vectors / vectors.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12) : vectors;
  }

 private:
  struct Layer {
    at::Tensor weight;
    std::optional<at::Tensor> bias;
    std::optional<Activation> activation;
  };
  std::vector<Layer> layers_;
  bool normalizes_;
};

/// states [tokens, hidden] of one text -> [hidden], float32.
at::Tensor pooled(const at::Tensor& states, Pooling pooling) {
  const std::int64_t tokens = states.size(0);
  const at::Tensor all = states.to(at::kFloat);
  switch (pooling) {
    case Pooling::cls:
      return all[0];
    case Pooling::last_token:
      return all[tokens - 1];
    case Pooling::max:
      return all.amax(0);
    case Pooling::weighted_mean: {
      const at::Tensor times = at::arange(1, tokens + 1, all.options()).unsqueeze(1);
      return (all * times).sum(0) / times.sum();
    }
    case Pooling::mean_sqrt:
      return all.sum(0) / std::sqrt(static_cast<double>(tokens));
    case Pooling::mean:
      break;
  }
  return all.mean(0);
}

/// `vector`: float32, on the host. One with a number that is none fails its request, since it is near to nothing and
/// far from nothing.
void answer_vector(Response& response, const at::Tensor& vector, std::size_t tokens, std::size_t truncated) {
  const at::Tensor dense = vector.contiguous();
  const std::span<const float> numbers(dense.const_data_ptr<float>(), static_cast<std::size_t>(dense.numel()));
  if (!std::ranges::all_of(numbers, [](float x) { return std::isfinite(x); })) {
    response.error = not_finite("vector");
    return;
  }
  response.answer = EmbedAnswer{
      {numbers.begin(), numbers.end()}, static_cast<std::int64_t>(tokens), static_cast<std::int64_t>(truncated)};
}

class Embedding final : public EncoderModule {
 public:
  Embedding(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : EncoderModule(module, device, gang, announce),
        settings_(read_sentence_settings(folder())),
        max_tokens_(max_tokens(folder(), module, settings_)),
        after_(settings_, device, announce) {}

 private:
  TextRow row_of(const Request& request) override { return {encoded(codec(), settings_, request, max_tokens_), {}}; }
  void compute(std::span<const TextRow> rows, std::vector<Response>& responses) const override;
  at::Tensor all_pooled(std::span<const TextRow> rows) const;

  SentenceSettings settings_;
  std::int64_t max_tokens_;
  AfterPooling after_;
};

void Embedding::compute(std::span<const TextRow> rows, std::vector<Response>& responses) const {
  const at::Tensor vectors = after_(all_pooled(rows)).cpu();
  for (std::size_t i = 0; i < rows.size(); ++i)
    answer_vector(responses[rows[i].requests[0]], vectors[static_cast<std::int64_t>(i)], rows[i].encoding.ids.size(),
                  rows[i].encoding.truncated);
}

/// [texts, hidden], float32.
at::Tensor Embedding::all_pooled(std::span<const TextRow> rows) const {
  const PackedRows all = packed(rows);
  if (settings_.pooling == Pooling::cls) return first_states_of(all).to(at::kFloat);
  const at::Tensor states = states_of(all);
  const at::Tensor out =
      at::empty({static_cast<std::int64_t>(rows.size()), states.size(1)}, states.options().dtype(at::kFloat));
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < rows.size(); begin += all.lengths[i++])
    out[static_cast<std::int64_t>(i)].copy_(pooled(states.narrow(0, begin, all.lengths[i]), settings_.pooling));
  return out;
}

/// A decoder's vector of a text is its last token's state; what texts begin with alike, an instruction, is computed
/// once.
class DecoderEmbedding final : public DecoderModule {
 public:
  DecoderEmbedding(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : DecoderModule(module, device, gang, announce),
        settings_(read_sentence_settings(folder())),
        max_tokens_(max_tokens(folder(), module, settings_)),
        after_(settings_, device, announce) {}

  std::vector<Response> run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) override {
    const at::NoGradGuard no_grad;
    const ScoringWork work = one_row_each(shard, [this](const Request& request, std::int64_t& truncated) {
      const Encoding encoding = encoded(codec(), settings_, request, max_tokens_);
      if (encoding.ids.empty()) throw InputError("the text has no token");
      truncated = static_cast<std::int64_t>(encoding.truncated);
      return ScoredRow{encoding.ids, {0}};  // a target, so that the last position is there
    });
    std::vector<Response> responses = responses_with(work.errors);
    run_batches(work, shard, cleanup, announce, [&](const Batch& batch) {
      const at::Tensor vectors = after_(prefix().forward(batch, last_slots(batch)).to(at::kFloat)).cpu();
      for (std::size_t i = 0; i < batch.paths.size(); ++i) {
        const std::size_t row = batch.paths[i].row, request = work.owners[row];
        answer_vector(responses[request], vectors[static_cast<std::int64_t>(i)], work.rows[row].tokens.size(),
                      static_cast<std::size_t>(work.truncated[request]));
      }
    });
    return responses;
  }

 private:
  SentenceSettings settings_;
  std::int64_t max_tokens_;
  AfterPooling after_;
};

std::int64_t check(const ModelFolder& folder, TextCodec&, const Module& module) {
  refuse_bos(module);
  const SentenceSettings settings = read_sentence_settings(folder);
  if (!folder.encoder && settings.pooling != Pooling::last_token)
    refuse(module, folder.path +
                       ": a decoder's texts are pooled by their last token (pooling_mode_lasttoken), no other "
                       "way is supported");
  return max_tokens(folder, module, settings);
}

std::shared_ptr<OpenModule> open(const Module& module, Device& device, Communicator& gang, const Announce& announce) {
  const bool encoder = read_model_folder(module.path).encoder.has_value();
  return encoder ? open_as<Embedding>(module, device, gang, announce)
                 : open_as<DecoderEmbedding>(module, device, gang, announce);
}

}  // namespace

const Kind& embedding_kind() {
  static const Kind kind{"embedding", open, check};
  return kind;
}

}  // namespace proctor
