#include "worker/models/encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
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
      positions_(weights.find("positions")),
      types_(weights.find("types")),
      input_projection_{weights.find("input_projection"), weights.find("input_projection_bias"), {}},
      relative_(config_, weights, scale()),
      head_dense_{weights.find("head_dense"), weights.find("head_dense_bias"), {}},
      head_out_{weights.find("head_out"), weights.find("head_out_bias"), {}},
      projection_(weights.find("projection")) {
  const at::TensorOptions options = words_.options();
  input_norm_ = norm_named("input_norm", config_.norm, weights);
  final_norm_ = norm_named("final_norm", config_.norm, weights);
  head_norm_ = norm_named("head_norm", config_.norm, weights);
  const at::Tensor scale = at::tensor(config_.embedding_scale, at::kDouble);
  embedding_scale_ = (config_.rounds_embedding_scale ? scale.to(options.dtype()) : scale).item<double>();
  for (const Rope& rope : config_.ropes)
    inverse_frequencies_.push_back(rope_inverse_frequencies(rope).to(options.device()));
  for (std::size_t set = 0; set < config_.names.layers.size(); ++set) layers_.push_back(read_layer(set, weights));
}

/// Behind a product on the CPU, one pass adds the bias and computes the norm of the sum, or the activation.
Encoder::Layer Encoder::read_layer(std::size_t set, const Weights& weights) const {
  const std::string of = "layers." + std::to_string(set) + ".";
  const auto linear = [&](const char* name) {
    return Linear{weights.at(of + name), weights.find(of + name + "_bias"), {}};
  };
  const auto linear_then_pass = [&](const char* name, bool adds) {
    Linear product = linear(name);
    if (!adds || !product.weight.is_cpu()) return product;
    product.later = std::exchange(product.bias, {});
    if (!product.later.defined()) product.later = at::zeros({product.weight.size(0)}, words_.options());
    return product;
  };
  const auto norm = [&](const char* name) { return norm_named(of + name, config_.norm, weights); };
  return {linear("qkv"),
          linear_then_pass("output", norms_sums()),
          linear_then_pass("up", !config_.gated),
          linear_then_pass("down", norms_sums()),
          norm("attention_in"),
          norm("attention_out"),
          norm("mlp_in"),
          norm("mlp_out"),
          norm("q_norm"),
          norm("k_norm")};
}

std::size_t Encoder::set_of(std::int64_t index) const {
  const auto layer = static_cast<std::size_t>(index);
  return config_.weights_of.empty() ? layer : static_cast<std::size_t>(config_.weights_of[layer]);
}

at::Tensor Encoder::label_logits(std::span<const TokenId> tokens, std::span<const TokenId> types,
                                 std::span<const std::int64_t> lengths) const {
  at::Tensor pooled;
  if (!config_.head.pools_mean) {
    pooled = forward_first(tokens, types, lengths);
  } else {
    const at::Tensor states = forward(tokens, types, lengths);
    pooled = at::empty({static_cast<std::int64_t>(lengths.size()), config_.hidden}, states.options());
    std::int64_t begin = 0;
    for (std::size_t text = 0; text < lengths.size(); begin += lengths[text++])
      pooled[static_cast<std::int64_t>(text)].copy_(states.narrow(0, begin, lengths[text]).to(at::kFloat).mean(0));
  }
  if (head_dense_.weight.defined())
    pooled = activate(linear(pooled, head_dense_.weight, head_dense_.bias), config_.head.activation);
  return linear(head_norm_(pooled), head_out_.weight, head_out_.bias).to(at::kFloat);
}

at::Tensor Encoder::project(const at::Tensor& states) const { return at::linear(states, projection_); }

double Encoder::scale() const {
  return config_.attention_scale > 0 ? config_.attention_scale : 1.0 / std::sqrt(static_cast<double>(config_.head_dim));
}

/// Heads [first, first + heads) of queries, keys and values that lie side by side: [tokens, heads, head_dim].
at::Tensor Encoder::heads_of(const Layer& layer, const at::Tensor& x, std::int64_t first, std::int64_t heads) const {
  const std::int64_t begin = first * config_.head_dim, rows = heads * config_.head_dim;
  const bool all = rows == layer.qkv.weight.size(0);
  const at::Tensor weight = all ? layer.qkv.weight : layer.qkv.weight.narrow(0, begin, rows);
  const at::Tensor bias = all || !layer.qkv.bias.defined() ? layer.qkv.bias : layer.qkv.bias.narrow(0, begin, rows);
  return linear(x, weight, bias).unflatten(1, {heads, config_.head_dim});
}

/// of_first: of the texts' first tokens alone.
at::Tensor Encoder::attention(std::int64_t index, const at::Tensor& x, const Pass& pass, bool of_first) const {
  const Layer& layer = layer_of(index);
  const std::int64_t queries = config_.heads, keys = config_.keys();
  at::Tensor q, kv;
  if (of_first) {
    q = heads_of(layer, x.index_select(0, token_tensor(first_tokens(pass.lengths), x.device())), 0, queries);
    kv = heads_of(layer, x, queries, 2 * keys);
  } else {
    const at::Tensor qkv = heads_of(layer, x, 0, queries + 2 * keys);
    q = qkv.narrow(1, 0, queries), kv = qkv.narrow(1, queries, 2 * keys);
  }
  at::Tensor k = kv.narrow(1, 0, keys), v = kv.narrow(1, keys, keys);
  q = layer.q_norm(q), k = layer.k_norm(k);
  if (!config_.rope_of.empty()) {
    const Angles& angles = pass.angles[static_cast<std::size_t>(config_.rope_of[static_cast<std::size_t>(index)])];
    if (!of_first) rotate(q, angles.cos, angles.sin, RotaryLayout::halves);  // a first token's position is 0
    rotate(k, angles.cos, angles.sin, RotaryLayout::halves);
  }
  if (pass.seen_tokens.defined()) k = k.index_select(0, pass.seen_tokens), v = v.index_select(0, pass.seen_tokens);
  const std::vector<std::int64_t> ones(pass.lengths.size(), 1);
  const at::Tensor out =
      attend_texts(q, k, v, of_first ? std::span<const std::int64_t>(ones) : pass.lengths, pass.seen,
                   {scale(), relative_.of_layer(set_of(index), pass.relative), config_.reach_of(index)});
  return row_parallel(out, layer.output.weight, layer.output.bias, gang_);
}

at::Tensor Encoder::feed_forward(const Layer& layer, const at::Tensor& x) const {
  const at::Tensor inner = linear(x, layer.up.weight, layer.up.bias);
  const at::Tensor activated =
      config_.gated ? gated(inner, config_.activation) : add_then_activate(inner, layer.up.later, config_.activation);
  return row_parallel(activated, layer.down.weight, layer.down.bias, gang_);
}

at::Tensor Encoder::embed(std::span<const TokenId> tokens, std::span<const TokenId> types,
                          const at::Tensor& positions) const {
  const at::Device device = words_.device();
  at::Tensor x = at::embedding(words_, token_tensor(tokens, device));
  if (embedding_scale_ != 1) x.mul_(embedding_scale_);
  if (positions_.defined()) x += at::embedding(positions_, positions + config_.first_position);
  if (types_.defined()) x += at::embedding(types_, token_tensor(types, device));
  if (!config_.projects_before_norm) x = input_norm_(x);
  if (input_projection_.weight.defined()) x = linear(x, input_projection_.weight, input_projection_.bias);
  return config_.projects_before_norm ? input_norm_(x) : x;
}

/// What the layer goes on with behind a block that gave y, which is used up.
at::Tensor Encoder::behind(const at::Tensor& x, const at::Tensor& y, const Linear& product, const Norm& norm) const {
  if (norms_sums()) return add_then_layer_norm(x, y, product.later, norm.weight(), norm.bias(), config_.norm.epsilon);
  return x + norm(y);
}

at::Tensor Encoder::run(std::span<const TokenId> tokens, std::span<const TokenId> types,
                        std::span<const std::int64_t> lengths, std::span<const std::int64_t> attended,
                        bool first_only) const {
  const at::Device device = words_.device();
  Pass pass{
      lengths, attended.empty() ? lengths : attended, {}, {}, relative_.common(*std::ranges::max_element(lengths))};
  Tokens positions, seen_tokens;
  for (std::size_t text = 0; text < lengths.size(); ++text) {
    const auto begin = static_cast<std::int32_t>(positions.size());
    for (std::int32_t i = 0, next = 0; i < lengths[text]; ++i)
      positions.push_back(tokens[positions.size()] == config_.uncounted ? -1 : next++);
    for (std::int32_t i = 0; i < pass.seen[text]; ++i) seen_tokens.push_back(begin + i);
  }
  if (seen_tokens.size() < tokens.size()) pass.seen_tokens = token_tensor(seen_tokens, device);
  const at::Tensor at = token_tensor(positions, device);
  for (std::size_t rope = 0; rope < config_.ropes.size(); ++rope)
    pass.angles.push_back(angles_of(at.to(at::kFloat), inverse_frequencies_[rope], config_.ropes[rope]));
  count(pass, first_only);
  at::Tensor x = embed(tokens, types, at);
  for (std::int64_t index = 0; index < config_.layers; ++index) {
    const Layer& layer = layer_of(index);
    const bool of_first = first_only && index + 1 == config_.layers;
    const at::Tensor given_by_attention = attention(index, layer.attention_in(x), pass, of_first);
    if (of_first) x = x.index_select(0, token_tensor(first_tokens(lengths), device));
    x = behind(x, given_by_attention, layer.output, layer.attention_out);
    x = behind(x, feed_forward(layer, layer.mlp_in(x)), layer.down, layer.mlp_out);
  }
  return final_norm_(x);
}

void Encoder::count(const Pass& pass, bool first_only) const {
  const auto width = static_cast<double>(config_.width() + config_.keys() * config_.head_dim),
             hidden = static_cast<double>(config_.hidden),
             inner = static_cast<double>((config_.gated ? 3 : 2) * config_.intermediate);
  double tokens = 0, texts = static_cast<double>(pass.lengths.size());
  for (const std::int64_t length : pass.lengths) tokens += static_cast<double>(length);
  tokens_computed_ += static_cast<std::uint64_t>(tokens);
  for (std::int64_t layer = 0; layer < config_.layers; ++layer) {
    const bool of_first = first_only && layer + 1 == config_.layers;
    const std::int64_t reach = config_.reach_of(layer), most = reach > 0 ? 2 * reach + 1 : 0;
    double attended = 0;
    for (std::size_t text = 0; text < pass.lengths.size(); ++text) {
      const std::int64_t keys = most > 0 ? std::min(most, pass.seen[text]) : pass.seen[text];
      attended += static_cast<double>(of_first ? 1 : pass.lengths[text]) * static_cast<double>(keys);
    }
    const double rows = of_first ? texts : tokens;  // what lies behind keys and values
    const auto of_keys = static_cast<double>(2 * config_.keys() * config_.head_dim);
    flops_ += 2 * hidden * ((2 * width - of_keys + inner) * rows + of_keys * tokens) +
              4 * static_cast<double>(config_.width()) * attended;
  }
}

}  // namespace proctor
