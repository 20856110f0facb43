#include "worker/models/encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tanh.h>

#include <cmath>

#include "worker/attention.h"
#include "worker/token_tensor.h"

namespace proctor {
namespace {

at::Tensor activated(const at::Tensor& x, EncoderConfig::Activation activation) {
  switch (activation) {
    case EncoderConfig::Activation::gelu:
      return at::gelu(x);
    case EncoderConfig::Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case EncoderConfig::Activation::relu:
      return at::relu(x);
    case EncoderConfig::Activation::silu:
      break;
  }
  return at::silu(x);
}

}  // namespace

Encoder::Encoder(const EncoderConfig& config, const Weights& weights)
    : config_(config),
      words_(weights.at("words")),
      positions_(weights.at("positions")),
      types_(weights.at("types")),
      input_norm_{weights.at("input_norm"), weights.at("input_norm_bias")} {
  for (std::int64_t i = 0; i < config.layers; ++i) {
    const std::string layer = "layers." + std::to_string(i) + ".";
    const auto linear = [&](const char* name) {
      return Linear{weights.at(layer + name), weights.at(layer + name + "_bias")};
    };
    const auto norm = [&](const char* name) {
      return Norm{weights.at(layer + name), weights.at(layer + name + "_bias")};
    };
    layers_.push_back(
        {linear("qkv"), linear("output"), linear("up"), linear("down"), norm("attention_norm"), norm("output_norm")});
  }
  if (config.labels > 0) {
    head_dense_ = {weights.at("head_dense"), weights.at("head_dense_bias")};
    head_out_ = {weights.at("head_out"), weights.at("head_out_bias")};
  }
}

at::Tensor Encoder::classify(const at::Tensor& states) const {
  const at::Tensor inner = at::tanh(at::linear(states, head_dense_.weight, head_dense_.bias));
  return at::linear(inner, head_out_.weight, head_out_.bias).to(at::kFloat);
}

at::Tensor Encoder::normed(const at::Tensor& x, const Norm& norm) const {
  return at::layer_norm(x, {config_.hidden}, norm.weight, norm.bias, config_.norm_epsilon);
}

at::Tensor Encoder::attention(const Layer& layer, const at::Tensor& x, std::span<const std::int64_t> lengths) const {
  const at::Tensor qkv = at::linear(x, layer.qkv.weight, layer.qkv.bias);
  const at::Tensor out = at::empty({x.size(0), config_.hidden}, x.options());
  const double scale = 1.0 / std::sqrt(static_cast<double>(config_.head_dim()));
  std::int64_t begin = 0;
  for (std::size_t first = 0, last = 0; first < lengths.size(); first = last) {
    while (last < lengths.size() && lengths[last] == lengths[first]) ++last;
    const auto count = static_cast<std::int64_t>(last - first), length = lengths[first];
    // [texts, length, q | k | v, heads, head_dim] -> three of [texts, heads, length, head_dim]
    const at::Tensor part = qkv.narrow(0, begin, count * length)
                                .unflatten(1, {3, config_.heads, config_.head_dim()})
                                .unflatten(0, {count, length});
    const auto pick = [&](std::int64_t which) { return part.select(2, which).transpose(1, 2); };
    const Attended attended = attend(pick(0), pick(1), pick(2), {scale, false, {}});
    out.narrow(0, begin, count * length).copy_(attended.out.transpose(1, 2).flatten(2).flatten(0, 1));
    begin += count * length;
  }
  return at::linear(out, layer.output.weight, layer.output.bias);
}

at::Tensor Encoder::feed_forward(const Layer& layer, const at::Tensor& x) const {
  const at::Tensor inner = activated(at::linear(x, layer.up.weight, layer.up.bias), config_.activation);
  return at::linear(inner, layer.down.weight, layer.down.bias);
}

at::Tensor Encoder::forward(std::span<const std::int32_t> tokens, std::span<const std::int32_t> types,
                            std::span<const std::int64_t> lengths) const {
  std::vector<std::int32_t> positions;
  positions.reserve(tokens.size());
  for (std::int64_t length : lengths) {
    for (std::int64_t i = 0; i < length; ++i)
      positions.push_back(static_cast<std::int32_t>(config_.first_position + i));
    attended_ += static_cast<double>(length * length);
  }
  tokens_computed_ += tokens.size();
  const at::Device device = words_.device();
  at::Tensor x = at::embedding(words_, token_tensor(tokens, device));
  x += at::embedding(positions_, token_tensor(positions, device));
  x += at::embedding(types_, token_tensor(types, device));
  x = normed(x, input_norm_);
  for (const Layer& layer : layers_) {
    x = normed(attention(layer, x, lengths) += x, layer.attention_norm);
    x = normed(feed_forward(layer, x) += x, layer.output_norm);
  }
  return x;
}

double Encoder::flops_computed() const {
  const double layer = 2.0 * static_cast<double>(config_.hidden * (4 * config_.hidden + 2 * config_.intermediate));
  return static_cast<double>(config_.layers) *
         (layer * static_cast<double>(tokens_computed_) + 4.0 * static_cast<double>(config_.hidden) * attended_);
}

}  // namespace proctor
