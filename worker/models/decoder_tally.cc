// What a decoder has computed so far, and how long its products alone take.
#include <ATen/ops/randn.h>

#include <algorithm>
#include <map>
#include <vector>

#include "worker/base/clock.h"
#include "worker/models/decoder.h"

namespace proctor {

void Decoder::count(std::span<const TokenId> positions, const Asked& asked) const {
  tally_.tokens += positions.size();
  if (asked.tokens)
    tally_.without_rest += static_cast<double>(positions.size()) - static_cast<double>(asked.tokens->size());
  ++tally_.forwards;
  std::map<std::int64_t, double> layers;  // by window
  for (std::int64_t window : config_.windows) ++layers[window];
  for (const auto& [window, count] : layers)
    for (std::int32_t position : positions)
      tally_.attended +=
          count * static_cast<double>(window > 0 ? std::min<std::int64_t>(position + 1, window) : position + 1);
}

double Decoder::first_flops(const Layer& layer) const { return 2.0 * static_cast<double>(layer.qkv.numel()); }
double Decoder::rest_flops(const Layer& layer) const {
  const std::int64_t gate = layer.gate.defined() ? layer.gate.numel() : 0;
  return 2.0 * (static_cast<double>(layer.output.numel() + gate) + layer.feed_forward.active_elements());
}
double Decoder::head_flops() const { return 2.0 * static_cast<double>(head_.numel()); }
double Decoder::attention_flops() const {
  return 4.0 * static_cast<double>(config_.heads * config_.head_dim) * tally_.attended;
}

double Decoder::flops_computed() const {
  double of_token = 0;
  for (const Layer& layer : layers_) of_token += first_flops(layer) + rest_flops(layer);
  return static_cast<double>(tally_.tokens) * of_token - tally_.without_rest * rest_flops(layers_.back()) +
         static_cast<double>(tally_.head_rows) * head_flops() + attention_flops();
}

double Decoder::seconds_of_products() const {
  if (tally_.forwards == 0) return 0;
  const auto seconds = [this](std::uint64_t all_rows, std::uint64_t calls, std::span<const at::Tensor> weights) {
    const std::uint64_t rows = std::max<std::uint64_t>(1, all_rows / std::max<std::uint64_t>(1, calls));
    double flops = 0;
    std::vector<at::Tensor> inputs;
    for (const at::Tensor& weight : weights) {
      inputs.push_back(at::randn({static_cast<std::int64_t>(rows), weight.size(1)}, options()));
      flops += 2.0 * static_cast<double>(rows) * static_cast<double>(weight.numel());
    }
    const auto multiply = [&] {
      at::Tensor product;
      for (std::size_t i = 0; i < inputs.size(); ++i) product = linear(inputs[i], weights[i], {}, Products::streamed);
      product[0][0].item();  // waits for the device
    };
    multiply();
    const auto begin = Clock::now();
    multiply();
    return seconds_since(begin) / flops;  // of one
  };
  const Layer& layer = layers_[0];
  std::vector<at::Tensor> of_layer = layer.feed_forward.products();
  of_layer.insert(of_layer.end(), {layer.qkv, layer.output});
  const double head = static_cast<double>(tally_.head_rows) * head_flops();
  return (flops_computed() - head) * seconds(tally_.tokens, tally_.forwards, of_layer) +
         head * seconds(tally_.head_rows, tally_.heads, {&head_, 1});
}

}  // namespace proctor
