#include "worker/kinds/embedding.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <cstring>

#include "sharding/error.h"
#include "worker/clock.h"
#include "worker/kinds/sentence_settings.h"
#include "worker/kinds/text_rows.h"
#include "worker/models/families.h"
#include "worker/text_codec.h"
#include "worker/tokenizer/unicode.h"

namespace proctor {
namespace {

class Embedding final : public OpenModule {
 public:
  Embedding(const Module& module, Device& device, const Announce& announce)
      : folder_(read_model_folder(module.path)),
        settings_(read_sentence_settings(module.path)),
        codec_(folder_, std::nullopt),
        max_tokens_(module.max_length.value_or(settings_.max_tokens.value_or(folder_.max_length))),
        weights_(Checkpoint(module.path), folder_parameters(folder_), folder_sources(folder_),
                 at::TensorOptions().dtype(scalar_type(module.dtype, folder_.checkpoint_dtype)).device(device.torch()),
                 announce),
        encoder_(*folder_.encoder, weights_) {}

  std::vector<Response> run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) override;
  void drop_batches() override {}
  Computed computed() const override { return {encoder_.tokens_computed(), encoder_.flops_computed(), tokenize_s_}; }
  std::uint64_t bytes_read() const override { return weights_.bytes_read(); }

 private:
  void embed(std::span<const TextRow> rows, std::vector<Response>& responses) const;
  at::Tensor pooled(const at::Tensor& states, std::span<const TextRow> rows) const;

  ModelFolder folder_;
  SentenceSettings settings_;
  TextCodec codec_;
  std::int64_t max_tokens_;
  Weights weights_;
  Encoder encoder_;
  double tokenize_s_ = 0;
};

std::vector<Response> Embedding::run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) {
  const at::NoGradGuard no_grad;
  std::vector<Response> responses(shard.requests.size());
  const auto encode = [this](const Request& request) {
    std::string text = settings_.prompt(request.ask.value("prompts", std::vector<std::string>{}));
    text += request.parts.at(0);
    return codec_.encode_at_most(settings_.lower_case ? lower_case(text) : text, static_cast<std::size_t>(max_tokens_));
  };
  const auto begin = Clock::now();
  std::vector<TextRow> rows = text_rows(shard.requests, *folder_.encoder, encode, responses);
  tokenize_s_ += seconds_since(begin);
  run_batches(std::move(rows), shard, cleanup, announce, [&](auto batch) { embed(batch, responses); });
  return responses;
}

void Embedding::embed(std::span<const TextRow> rows, std::vector<Response>& responses) const {
  const at::Tensor vectors = pooled(states_of(encoder_, rows), rows).cpu().contiguous();
  const auto width = static_cast<std::size_t>(vectors.size(1)) * sizeof(float);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::vector<std::uint8_t> bytes(width);
    std::memcpy(bytes.data(), reinterpret_cast<const char*>(vectors.data_ptr<float>()) + i * width, width);
    responses[rows[i].request].value = {nlohmann::json::binary(std::move(bytes)), rows[i].encoding.ids.size(),
                                        rows[i].encoding.truncated};
  }
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
  // torch.nn.functional.normalize
  return settings_.normalize ? out / out.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12) : out;
}

}  // namespace

std::shared_ptr<OpenModule> open_embedding(const Module& module, Device& device, Communicator& gang,
                                           const Announce& announce) {
  PROCTOR_CHECK(gang.size() == 1, "an embedding module is held by one worker");
  return std::make_shared<Embedding>(module, device, announce);
}

}  // namespace proctor
