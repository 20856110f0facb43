#include "worker/kinds/embedding.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <cstring>

#include "worker/kinds/encoder_module.h"
#include "worker/kinds/sentence_settings.h"
#include "worker/tokenizer/unicode.h"

namespace proctor {
namespace {

class Embedding final : public EncoderModule {
 public:
  Embedding(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : EncoderModule(module, device, gang, announce),
        settings_(read_sentence_settings(module.path)),
        max_tokens_(module.max_length.value_or(settings_.max_tokens.value_or(folder().max_length))) {}

 private:
  Encoding encode(const Request& request) override {
    std::string text = settings_.prompt(request.ask.value("prompts", std::vector<std::string>{}));
    text += request.parts.at(0);
    return codec().encode_at_most(settings_.lower_case ? lower_case(text) : text,
                                  static_cast<std::size_t>(max_tokens_));
  }
  void answer(std::span<const TextRow> rows, const at::Tensor& states, std::vector<Response>& responses) const override;
  at::Tensor pooled(const at::Tensor& states, std::span<const TextRow> rows) const;

  SentenceSettings settings_;
  std::int64_t max_tokens_;
};

void Embedding::answer(std::span<const TextRow> rows, const at::Tensor& states,
                       std::vector<Response>& responses) const {
  const at::Tensor vectors = pooled(states, rows).cpu().contiguous();
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
  return std::make_shared<Embedding>(module, device, gang, announce);
}

}  // namespace proctor
