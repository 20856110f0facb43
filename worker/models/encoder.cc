#include "worker/models/encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/tanh.h>

#include <cmath>
#include <utility>

#include "worker/kernels/elementwise.h"
#include "worker/kernels/packed_attention.h"
#include "worker/kernels/token_tensor.h"

namespace proctor {
Encoder::Encoder(const EncoderConfig& config, const Weights& weights, Communicator& gang)
    : config_(member_config(config, share_of(gang))),
      gang_(gang),
      words_(weights.at("words")),
      positions_(weights.at("positions")),
      types_(weights.at("types")),
      input_norm_{weights.at("input_norm"), weights.at("input_norm_bias")},
      projection_(weights.find("projection")) {
  for (std::int64_t i = 0; i < config.layers; ++i) {
    const std::string layer = "layers." + std::to_string(i) + ".";
    const auto linear = [&](const char* name) {
      return Linear{weights.at(layer + name), weights.at(layer + name + "_bias"), {}};
    };
    const auto linear_then_pass = [&](const char* name) {
      Linear product = linear(name);
      if (product.weight.is_cpu()) product.later = std::exchange(product.bias, {});
      return product;
    };
    const auto norm = [&](const char* name) {
      return Norm{weights.at(layer + name), weights.at(layer + name + "_bias")};
    };
    layers_.push_back({linear("qkv"), linear_then_pass("output"), linear_then_pass("up"), linear_then_pass("down"),
                       norm("attention_norm"), norm("output_norm")});
  }
  if (config.labels > 0) {
    head_dense_ = {weights.at("head_dense"), weights.at("head_dense_bias"), {}};
    head_out_ = {weights.at("head_out"), weights.at("head_out_bias"), {}};
  }
}

at::Tensor Encoder::classify(const at::Tensor& states) const {
  const at::Tensor inner = at::tanh(at::linear(states, head_dense_.weight, head_dense_.bias));
  return at::linear(inner, head_out_.weight, head_out_.bias).to(at::kFloat);
}

at::Tensor Encoder::project(const at::Tensor& states) const { return at::linear(states, projection_); }

/// The norm of x + y + bias; y, of row_parallel, is used up.
at::Tensor Encoder::added(const at::Tensor& x, const at::Tensor& y, const at::Tensor& bias, const Norm& norm) const {
  return add_then_layer_norm(x, y, bias, norm.weight, norm.bias, config_.norm_epsilon);
}

at::Tensor Encoder::attention(const Layer& layer, const at::Tensor& x, std::span<const std::int64_t> lengths,
                              const Seen& seen) const {
  const at::Tensor qkv = heads_of(at::linear(x, layer.qkv.weight, layer.qkv.bias), 3);
  const at::Tensor kv = seen.tokens.defined() ? qkv.index_select(0, seen.tokens) : qkv;
  const at::Tensor out =
      attend_texts(qkv.select(1, 0), kv.select(1, 1), kv.select(1, 2), lengths, seen.lengths, scale(), {});
  return row_parallel(out, layer.output.weight, layer.output.bias, gang_);
}

/// The same of the texts' first tokens alone, `first` [texts, hidden]; x [tokens, hidden]: what they attend.
at::Tensor Encoder::attention_of_first(const Layer& layer, const at::Tensor& first, const at::Tensor& x,
                                       const Seen& seen) const {
  const std::int64_t width = config_.width();
  const auto projected = [&](const at::Tensor& from, std::int64_t begin, std::int64_t parts) {
    return heads_of(at::linear(from, layer.qkv.weight.narrow(0, begin, parts * width),
                               layer.qkv.bias.narrow(0, begin, parts * width)),
                    parts);
  };
  const at::Tensor q = projected(first, 0, 1);
  const at::Tensor kv = projected(seen.tokens.defined() ? x.index_select(0, seen.tokens) : x, width, 2);
  const std::vector<std::int64_t> ones(seen.lengths.size(), 1);
  const at::Tensor out =
      attend_texts(q.select(1, 0), kv.select(1, 0), kv.select(1, 1), ones, seen.lengths, scale(), {});
  return row_parallel(out, layer.output.weight, layer.output.bias, gang_);
}

/// [tokens, parts * width] -> [tokens, parts, heads, head_dim]
at::Tensor Encoder::heads_of(const at::Tensor& x, std::int64_t parts) const {
  return x.unflatten(1, {parts, config_.heads, config_.head_dim});
}

double Encoder::scale() const { return 1.0 / std::sqrt(static_cast<double>(config_.head_dim)); }

at::Tensor Encoder::feed_forward(const Layer& layer, const at::Tensor& x) const {
  const at::Tensor inner = linear(x, layer.up.weight, layer.up.bias);
  return row_parallel(add_then_activate(inner, layer.up.later, config_.activation), layer.down.weight, layer.down.bias,
                      gang_);
}

at::Tensor Encoder::run(std::span<const TokenId> tokens, std::span<const TokenId> types,
                        std::span<const std::int64_t> lengths, std::span<const std::int64_t> attended,
                        bool first_only) const {
  const at::Device device = words_.device();
  Seen seen{{}, attended.empty() ? lengths : attended};
  std::vector<std::int32_t> positions;
  Tokens seen_tokens;
  positions.reserve(tokens.size());
  for (std::size_t text = 0; text < lengths.size(); ++text) {
    const auto begin = static_cast<std::int32_t>(positions.size());
    for (std::int64_t i = 0; i < lengths[text]; ++i)
      positions.push_back(static_cast<std::int32_t>(config_.first_position + i));
    for (std::int32_t i = 0; i < seen.lengths[text]; ++i) seen_tokens.push_back(begin + i);
  }
  count(lengths, seen.lengths, first_only);
  if (seen_tokens.size() < tokens.size()) seen.tokens = token_tensor(seen_tokens, device);
  at::Tensor x = at::embedding(words_, token_tensor(tokens, device));
  x += at::embedding(positions_, token_tensor(positions, device));
  x += at::embedding(types_, token_tensor(types, device));
  x = at::layer_norm(x, {config_.hidden}, input_norm_.weight, input_norm_.bias, config_.norm_epsilon);
  for (const Layer& layer : layers_) {
    if (first_only && &layer == &layers_.back()) {
      const at::Tensor first = x.index_select(0, token_tensor(first_tokens(lengths), device));
      x = added(first, attention_of_first(layer, first, x, seen), layer.output.later, layer.attention_norm);
    } else {
      x = added(x, attention(layer, x, lengths, seen), layer.output.later, layer.attention_norm);
    }
    x = added(x, feed_forward(layer, x), layer.down.later, layer.output_norm);
  }
  return x;
}

void Encoder::count(std::span<const std::int64_t> lengths, std::span<const std::int64_t> seen, bool first_only) const {
  const auto width = static_cast<double>(config_.width()), hidden = static_cast<double>(config_.hidden),
             inner = static_cast<double>(config_.intermediate);
  double tokens = 0, keys = 0, attended = 0;
  for (std::size_t text = 0; text < lengths.size(); ++text) {
    tokens += static_cast<double>(lengths[text]);
    keys += static_cast<double>(seen[text]);
    attended += static_cast<double>(lengths[text]) * static_cast<double>(seen[text]);
  }
  tokens_computed_ += static_cast<std::uint64_t>(tokens);
  const double whole = 2 * hidden * (4 * width + 2 * inner) * tokens + 4 * width * attended;
  const auto layers = static_cast<double>(config_.layers);
  flops_ += layers * whole;
  if (first_only)
    flops_ += 2 * hidden * (2 * width * keys + (2 * width + 2 * inner) * static_cast<double>(lengths.size())) +
              4 * width * keys - whole;
}

}  // namespace proctor
