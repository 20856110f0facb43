#include "worker/kinds/cross_encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>

#include "sharding/error.h"
#include "worker/clock.h"
#include "worker/kinds/sentence_settings.h"
#include "worker/kinds/text_rows.h"
#include "worker/models/families.h"
#include "worker/text_codec.h"
#include "worker/token_tensor.h"

namespace proctor {
namespace {

class CrossEncoder final : public OpenModule {
 public:
  CrossEncoder(const Module& module, Device& device, const Announce& announce)
      : folder_(read_model_folder(module.path)),
        activation_(read_pair_activation(module.path, folder_.encoder->labels)),
        codec_(folder_, std::nullopt),
        max_tokens_(module.max_length.value_or(folder_.max_length)),
        weights_(Checkpoint(module.path), folder_parameters(folder_), folder_sources(folder_),
                 at::TensorOptions().dtype(scalar_type(module.dtype, folder_.checkpoint_dtype)).device(device.torch()),
                 announce),
        encoder_(*folder_.encoder, weights_) {}

  std::vector<Response> run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) override;
  void drop_batches() override {}
  Computed computed() const override { return {encoder_.tokens_computed(), encoder_.flops_computed(), tokenize_s_}; }
  std::uint64_t bytes_read() const override { return weights_.bytes_read(); }

 private:
  void score(std::span<const TextRow> rows, std::vector<Response>& responses) const;

  ModelFolder folder_;
  PairActivation activation_;
  TextCodec codec_;
  std::int64_t max_tokens_;
  Weights weights_;
  Encoder encoder_;
  double tokenize_s_ = 0;
};

std::vector<Response> CrossEncoder::run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) {
  const at::NoGradGuard no_grad;
  std::vector<Response> responses(shard.requests.size());
  const auto encode = [this](const Request& request) {
    return codec_.encode_pair_at_most(request.parts.at(0), request.parts.at(1), static_cast<std::size_t>(max_tokens_));
  };
  const auto begin = Clock::now();
  std::vector<TextRow> rows = text_rows(shard.requests, *folder_.encoder, encode, responses);
  tokenize_s_ += seconds_since(begin);
  run_batches(std::move(rows), shard, cleanup, announce, [&](auto batch) { score(batch, responses); });
  return responses;
}

void CrossEncoder::score(std::span<const TextRow> rows, std::vector<Response>& responses) const {
  const at::Tensor states = states_of(encoder_, rows);
  std::vector<std::int32_t> first;  // token of each row
  for (std::int32_t begin = 0; const TextRow& row : rows) {
    first.push_back(begin);
    begin += static_cast<std::int32_t>(row.encoding.ids.size());
  }
  const at::Tensor logits = encoder_.classify(states.index_select(0, token_tensor(first, states.device())));
  const at::Tensor all = activation_ == PairActivation::sigmoid   ? at::sigmoid(logits)
                         : activation_ == PairActivation::softmax ? at::softmax(logits, 1)
                                                                  : logits;
  const at::Tensor scores = all.select(1, all.size(1) - 1).cpu().contiguous();  // the one, or that of "relevant"
  for (std::size_t i = 0; i < rows.size(); ++i)
    responses[rows[i].request].value = {static_cast<double>(scores.data_ptr<float>()[i]), rows[i].encoding.ids.size(),
                                        rows[i].encoding.truncated};
}

}  // namespace

std::shared_ptr<OpenModule> open_cross_encoder(const Module& module, Device& device, Communicator& gang,
                                               const Announce& announce) {
  PROCTOR_CHECK(gang.size() == 1, "a cross_encoder module is held by one worker");
  return std::make_shared<CrossEncoder>(module, device, announce);
}

}  // namespace proctor
