#include "worker/models/t5.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/triu.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "worker/kernels/elementwise.h"
#include "worker/kernels/packed_attention.h"
#include "worker/kernels/token_tensor.h"
#include "worker/models/relative_positions.h"

namespace proctor {

T5::T5(const T5Config& config, const Weights& weights, Communicator& gang)
    : config_(member_config(config, share_of(gang))),
      gang_(gang),
      words_(weights.at("words")),
      head_(weights.find("head")),
      head_bias_(weights.find("head_bias")),
      encoder_(stack("encoder", config.layers, weights)) {
  if (config.decoder_layers == 0) return;
  decoder_ = stack("decoder", config.decoder_layers, weights);
  decoder_.causal = true;
  if (config.tied_embeddings) head_ = words_;
}

T5::Stack T5::stack(const std::string& name, std::int64_t layers, const Weights& weights) const {
  Stack stack{{}, weights.at(name + "_bias"), weights.at(name + "_final_norm")};
  for (std::int64_t i = 0; i < layers; ++i) {
    const auto find = [&](const char* part) { return weights.find(name + "." + std::to_string(i) + "." + part); };
    stack.layers.push_back({find("norm"), find("qkv"), find("output"), find("cross_norm"), find("cross_q"),
                            find("cross_kv"), find("cross_output"), find("mlp_norm"), find("up"), find("down")});
  }
  return stack;
}

/// [1, heads, length, length]; -inf where a decoder's row may not look.
at::Tensor T5::position_bias(const Stack& stack, std::int64_t length) const {
  Tokens of_distance, buckets;  // from 1 - length on
  for (std::int64_t distance = 1 - length; distance < length; ++distance)
    of_distance.push_back(
        static_cast<std::int32_t>(t5_bucket(distance, !stack.causal, config_.buckets, config_.max_distance)));
  buckets.reserve(static_cast<std::size_t>(length * length));
  for (std::int64_t query = 0; query < length; ++query) {
    const auto first = of_distance.begin() + (length - 1 - query);
    buckets.insert(buckets.end(), first, first + length);
  }
  const at::Tensor bias = at::embedding(stack.bias, token_tensor(buckets, stack.bias.device()))
                              .view({length, length, config_.heads})
                              .permute({2, 0, 1});
  if (!stack.causal) return bias.contiguous().unsqueeze(0);
  const at::Tensor later =
      at::triu(at::full({length, length}, -std::numeric_limits<float>::infinity(), bias.options()), 1);
  return (bias + later).contiguous().unsqueeze(0);
}

at::Tensor T5::feed_forward(const Layer& layer, const at::Tensor& x) const {
  const at::Tensor inner = at::linear(x, layer.up);
  if (!config_.gated) return row_parallel(activate(inner, config_.activation), layer.down, {}, gang_);
  const at::Tensor gate = activate(inner.narrow(1, 0, config_.intermediate), config_.activation);
  return row_parallel(gate * inner.narrow(1, config_.intermediate, config_.intermediate), layer.down, {}, gang_);
}

at::Tensor T5::cross_attention(const Layer& layer, const at::Tensor& x, std::span<const std::int64_t> lengths,
                               const Source& source) const {
  const at::Tensor q = at::linear(x, layer.cross_q).unflatten(1, {config_.heads, config_.head_dim});
  const at::Tensor kv = at::linear(source.states, layer.cross_kv).unflatten(1, {2, config_.heads, config_.head_dim});
  const at::Tensor out = attend_texts(q, kv.select(1, 0), kv.select(1, 1), lengths, source.lengths, {1.0});
  return row_parallel(out, layer.cross_output, {}, gang_);
}

at::Tensor T5::run(const Stack& stack, std::span<const TokenId> tokens, std::span<const std::int64_t> lengths,
                   const Source* source) const {
  count(stack, lengths, source);
  const at::Tensor longest = position_bias(stack, *std::ranges::max_element(lengths));  // the same in every layer
  const auto bias = [&](const at::Tensor& q, const at::Tensor&) {  // distances alone matter: a corner of it
    return longest.narrow(2, 0, q.size(2)).narrow(3, 0, q.size(2));
  };
  const RmsNorm norm{config_.norm_epsilon};
  at::Tensor x = at::embedding(words_, token_tensor(tokens, words_.device()));
  for (const Layer& layer : stack.layers) {
    const at::Tensor qkv =
        at::linear(rms_norm(x, layer.norm, norm), layer.qkv).unflatten(1, {3, config_.heads, config_.head_dim});
    const at::Tensor out =
        attend_texts(qkv.select(1, 0), qkv.select(1, 1), qkv.select(1, 2), lengths, lengths, {1.0, bias});
    x += row_parallel(out, layer.output, {}, gang_);
    if (source) x += cross_attention(layer, rms_norm(x, layer.cross_norm, norm), lengths, *source);
    x += feed_forward(layer, rms_norm(x, layer.mlp_norm, norm));
  }
  return rms_norm(x, stack.final_norm, norm);
}

void T5::count(const Stack& stack, std::span<const std::int64_t> lengths, const Source* source) const {
  double tokens = 0, texts = 0, attended = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const auto length = static_cast<double>(lengths[i]), text = static_cast<double>(source ? source->lengths[i] : 0);
    tokens += length;
    texts += text;
    attended += length * (stack.causal ? (length + 1) / 2 : length) + length * text;
  }
  tokens_computed_ += static_cast<std::uint64_t>(tokens);
  double weights = 0, of_texts = 0;
  for (const Layer& layer : stack.layers) {
    for (const at::Tensor& weight : {layer.qkv, layer.output, layer.cross_q, layer.cross_output, layer.up, layer.down})
      if (weight.defined()) weights += static_cast<double>(weight.numel());
    if (source) of_texts += static_cast<double>(layer.cross_kv.numel());
  }
  flops_ += 2 * (weights * tokens + of_texts * texts) +
            4 * static_cast<double>(config_.width()) * static_cast<double>(stack.layers.size()) * attended;
}

at::Tensor T5::encode(std::span<const TokenId> tokens, std::span<const std::int64_t> lengths) const {
  return run(encoder_, tokens, lengths, nullptr);
}

at::Tensor T5::decode(std::span<const TokenId> tokens, std::span<const std::int64_t> lengths, const at::Tensor& states,
                      std::span<const std::int64_t> texts) const {
  const Source source{states, texts};
  const at::Tensor x = run(decoder_, tokens, lengths, &source);
  return config_.tied_embeddings ? x * std::pow(static_cast<double>(config_.hidden), -0.5) : x;
}

at::Tensor T5::products(const at::Tensor& states, const at::Tensor& head) const {
  flops_ += 2 * static_cast<double>(head.numel()) * static_cast<double>(states.size(0));
  return at::linear(states, head).to(at::kFloat);
}

at::Tensor T5::logits_of(const at::Tensor& states, const Tokens& tokens) const {
  return products(states, head_.index_select(0, token_tensor(tokens, head_.device())));
}

at::Tensor T5::classify(const at::Tensor& states) const { return at::linear(states, head_, head_bias_).to(at::kFloat); }

}  // namespace proctor
