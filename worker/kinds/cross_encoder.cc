#include "worker/kinds/cross_encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>

#include "worker/kinds/encoder_module.h"
#include "worker/kinds/sentence_settings.h"
#include "worker/token_tensor.h"

namespace proctor {
namespace {

class CrossEncoder final : public EncoderModule {
 public:
  CrossEncoder(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : EncoderModule(module, device, gang, announce),
        activation_(read_pair_activation(module.path, folder().encoder->labels)),
        max_tokens_(module.max_length.value_or(folder().max_length)) {}

 private:
  Encoding encode(const Request& request) override {
    return codec().encode_pair_at_most(request.parts.at(0), request.parts.at(1), static_cast<std::size_t>(max_tokens_));
  }
  void answer(std::span<const TextRow> rows, const at::Tensor& states, std::vector<Response>& responses) const override;

  PairActivation activation_;
  std::int64_t max_tokens_;
};

void CrossEncoder::answer(std::span<const TextRow> rows, const at::Tensor& states,
                          std::vector<Response>& responses) const {
  std::vector<std::int32_t> first;  // token of each row
  for (std::int32_t begin = 0; const TextRow& row : rows) {
    first.push_back(begin);
    begin += static_cast<std::int32_t>(row.encoding.ids.size());
  }
  const at::Tensor logits = encoder().classify(states.index_select(0, token_tensor(first, states.device())));
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
  return std::make_shared<CrossEncoder>(module, device, gang, announce);
}

}  // namespace proctor
