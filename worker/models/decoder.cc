#include "worker/models/decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numbers>

#include "worker/base/clock.h"
#include "worker/kernels/elementwise.h"
#include "worker/kernels/token_tensor.h"

namespace proctor {
namespace {

/// Llama 3.1's: long wave lengths divided by the factor, short ones kept, smoothly between.
at::Tensor scale_llama3(const at::Tensor& inverse, const RopeScaling& s) {
  const at::Tensor wave = 2 * std::numbers::pi / inverse;
  const double low = s.original_max_position / s.low_freq_factor, high = s.original_max_position / s.high_freq_factor;
  const at::Tensor scaled = at::where(wave > low, inverse / s.factor, inverse);
  const at::Tensor smooth =
      (s.original_max_position / wave - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  const at::Tensor between = (1 - smooth) * scaled / s.factor + smooth * scaled;
  return at::where((wave >= high).logical_and(wave <= low), between, scaled);
}

}  // namespace

at::Tensor rope_inverse_frequencies(const DecoderConfig& config) {
  const at::Tensor exponent = at::arange(0, config.head_dim, 2, at::kFloat) / static_cast<double>(config.head_dim);
  const at::Tensor inverse = 1.0 / at::pow(config.rope_theta, exponent);
  switch (config.rope_scaling.kind) {
    case RopeScaling::Kind::linear:
      return inverse / config.rope_scaling.factor;
    case RopeScaling::Kind::llama3:
      return scale_llama3(inverse, config.rope_scaling);
    case RopeScaling::Kind::none:
      break;
  }
  return inverse;
}

Decoder::Decoder(const DecoderConfig& config, const Weights& weights, Communicator& gang)
    : config_(member_config(config, share_of(gang))),
      vocabulary_(vocabulary_share(config.vocabulary, share_of(gang))),
      gang_(gang),
      embedding_(weights.at("embedding")),
      final_norm_(weights.at("final_norm")),
      head_(config_.tied_embeddings ? embedding_ : weights.at("head")),
      inverse_frequencies_(rope_inverse_frequencies(config_).to(embedding_.device())) {
  for (std::int64_t i = 0; i < config_.layers; ++i) {
    const std::string layer = "layers." + std::to_string(i) + ".";
    const auto find = [&](const char* name) { return weights.find(layer + name); };
    layers_.push_back({find("input_norm"), find("qkv"), find("qkv_bias"), find("q_norm"), find("k_norm"),
                       find("output"), find("output_bias"), find("mlp_norm"), find("gate_up"), find("gate_up_bias"),
                       find("down"), find("down_bias")});
  }
}

Decoder::LocalIds Decoder::local(const at::Tensor& ids) const {
  const at::Tensor rows = ids - vocabulary_.begin;
  const at::Tensor is_remote = rows.lt(0).logical_or(rows.ge(vocabulary_.rows));
  return {rows.masked_fill(is_remote, 0), is_remote};
}

/// Collective. Each member has some of the ids: of a token's row all but one add zeros.
at::Tensor Decoder::embed(const at::Tensor& tokens) const {
  if (gang_.size() == 1) return at::embedding(embedding_, tokens);
  const auto [rows, is_remote] = local(tokens);
  at::Tensor x = at::embedding(embedding_, rows).masked_fill(is_remote.unsqueeze(-1), 0);
  gang_.all_reduce(x);
  return x;
}

at::Tensor Decoder::attention(std::int64_t index, const at::Tensor& x, const Angles& angles, const Attend& attend,
                              Products products) const {
  const Layer& layer = layers_[static_cast<std::size_t>(index)];
  const at::Tensor qkv = linear(x, layer.qkv, layer.qkv_bias, products).unflatten(-1, {-1, config_.head_dim});
  at::Tensor q = qkv.narrow(1, 0, config_.heads), k = qkv.narrow(1, config_.heads, config_.kv_heads);
  const at::Tensor v = qkv.narrow(1, config_.heads + config_.kv_heads, config_.kv_heads);
  const RotaryLayout layout = config_.rope_interleaved ? RotaryLayout::interleaved : RotaryLayout::halves;
  if (config_.qk_norm) {
    q = rms_norm(q, layer.q_norm, config_.norm_epsilon);
    k = rms_norm(k, layer.k_norm, config_.norm_epsilon);
    for (const at::Tensor& rotated : {q, k}) rotate(rotated, angles.cos, angles.sin, layout);
  } else {  // queries and keys lie side by side
    rotate(qkv.narrow(1, 0, config_.heads + config_.kv_heads), angles.cos, angles.sin, layout);
  }
  return attend(index, q, k, v);
}

at::Tensor Decoder::mlp(const Layer& layer, const at::Tensor& x, Products products) const {
  return row_parallel(silu_times(linear(x, layer.gate_up, layer.gate_up_bias, products)), layer.down, layer.down_bias,
                      gang_, products);
}

at::Tensor Decoder::forward(std::span<const TokenId> tokens, std::span<const TokenId> positions, const Attend& attend,
                            const Asked& asked) const {
  count(positions, asked);
  const at::Device device = options().device();
  at::Tensor x = embed(token_tensor(tokens, device));  // the sum of what the layers add
  const at::Tensor turns = at::outer(token_tensor(positions, device).to(at::kFloat), inverse_frequencies_);
  const Angles angles{turns.cos(), turns.sin()};
  at::Tensor normed = rms_norm(x, layers_[0].input_norm, config_.norm_epsilon);
  for (std::int64_t i = 0; i < config_.layers; ++i) {
    const Layer& layer = layers_[static_cast<std::size_t>(i)];
    const bool last = i + 1 == config_.layers;
    at::Tensor attended = attention(i, normed, angles, attend, asked.products);
    if (last && asked.tokens) {
      if (asked.tokens->empty()) return at::empty({0, config_.hidden}, options());
      const at::Tensor picked = token_tensor(*asked.tokens, device);
      x = x.index_select(0, picked);
      attended = attended.index_select(0, picked);
    }
    attended = row_parallel(attended, layer.output, layer.output_bias, gang_, asked.products);
    normed = add_then_norm(x, attended, layer.mlp_norm, config_.norm_epsilon);
    attended.reset();  // not held while the widest part is computed
    const at::Tensor& next = last ? final_norm_ : layers_[static_cast<std::size_t>(i) + 1].input_norm;
    normed = add_then_norm(x, mlp(layer, normed, asked.products), next, config_.norm_epsilon);
  }
  return normed;
}

at::Tensor Decoder::logits(const at::Tensor& states, Products products) const {
  tally_.head_rows += static_cast<std::uint64_t>(states.size(0));
  ++tally_.heads;
  at::Tensor logits = linear(states, head_, {}, products).to(at::kFloat);
  const std::int64_t padding = vocabulary_.padded - vocabulary_.rows;
  if (padding > 0) logits.narrow(1, vocabulary_.rows, padding).fill_(-std::numeric_limits<float>::infinity());
  return logits;
}

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

double Decoder::layer_flops() const { return 2.0 * static_cast<double>(layers_[0].qkv.numel()) + rest_flops(); }
double Decoder::rest_flops() const {
  const Layer& layer = layers_[0];
  return 2.0 * static_cast<double>(layer.output.numel() + layer.gate_up.numel() + layer.down.numel());
}
double Decoder::head_flops() const { return 2.0 * static_cast<double>(head_.numel()); }
double Decoder::attention_flops() const {
  return 4.0 * static_cast<double>(config_.heads * config_.head_dim) * tally_.attended;
}

double Decoder::flops_computed() const {
  return static_cast<double>(tally_.tokens) * static_cast<double>(config_.layers) * layer_flops() -
         tally_.without_rest * rest_flops() + static_cast<double>(tally_.head_rows) * head_flops() + attention_flops();
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
  const at::Tensor of_layer[] = {layer.qkv, layer.output, layer.gate_up, layer.down};
  const double head = static_cast<double>(tally_.head_rows) * head_flops();
  return (flops_computed() - head) * seconds(tally_.tokens, tally_.forwards, of_layer) +
         head * seconds(tally_.head_rows, tally_.heads, {&head_, 1});
}

}  // namespace proctor
