#include "worker/models/seq2seq.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/triu.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "worker/kernels/attention.h"
#include "worker/kernels/elementwise.h"
#include "worker/kernels/packed_attention.h"
#include "worker/kernels/token_tensor.h"
#include "worker/models/relative_positions.h"

namespace proctor {
namespace {

constexpr std::int64_t kPositionOffset = 2;  // of BART's table

}  // namespace

Seq2Seq::Seq2Seq(const Seq2SeqConfig& config, const Weights& weights, Communicator& gang)
    : config_(member_config(config, share_of(gang))),
      gang_(gang),
      words_(weights.at("words")),
      head_(weights.find("head")),
      head_bias_(weights.find("head_bias")),
      encoder_(read_stack("encoder", config_.encoder, weights)) {
  if (!config.has_decoder()) return;
  decoder_ = read_stack("decoder", config_.decoder, weights);
  decoder_.causal = true;
  if (config.tied_embeddings) head_ = words_;
}

Seq2Seq::Stack Seq2Seq::read_stack(const std::string& name, const Seq2SeqStack& facts, const Weights& weights) const {
  const auto norm = [&](const std::string& of) { return norm_named(of, config_.norm, weights); };
  Stack stack{facts, {}, weights.find(name + "_positions"), norm(name + "_input_norm"), norm(name + "_final_norm")};
  for (std::int64_t i = 0; i < facts.layers; ++i) {
    const std::string of = name + "." + std::to_string(i) + ".";
    const auto linear = [&](const char* part) {
      return Linear{weights.find(of + part), weights.find(of + part + "_bias")};
    };
    stack.layers.push_back({norm(of + "norm"), norm(of + "cross_norm"), norm(of + "mlp_norm"), linear("qkv"),
                            linear("output"), linear("cross_q"), linear("cross_kv"), linear("cross_output"),
                            linear("up"), linear("down"), weights.find(of + "bias")});
  }
  return stack;
}

double Seq2Seq::scale(const Stack& stack) const {
  return config_.scales_products ? 1 / std::sqrt(static_cast<double>(stack.facts.head_dim)) : 1;
}

/// [1, heads, length, length]; -inf where a decoder's row may not look. Undefined where there is no table.
at::Tensor Seq2Seq::position_bias(const Stack& stack, const at::Tensor& table, std::int64_t length) const {
  if (!table.defined()) return {};
  const at::Tensor buckets = numbers_by_distance(length, table.device(), [&](std::int64_t distance) {
    return t5_bucket(distance, !stack.causal, config_.buckets, config_.max_distance);
  });
  const at::Tensor bias = at::embedding(table, buckets).permute({2, 0, 1});
  if (!stack.causal) return bias.contiguous().unsqueeze(0);
  const at::Tensor later =
      at::triu(at::full({length, length}, -std::numeric_limits<float>::infinity(), bias.options()), 1);
  return (bias + later).contiguous().unsqueeze(0);
}

at::Tensor Seq2Seq::feed_forward(const Layer& layer, const at::Tensor& x) const {
  const at::Tensor inner = linear(x, layer.up.weight, layer.up.bias);
  if (!config_.gated)
    return row_parallel(activate(inner, config_.activation), layer.down.weight, layer.down.bias, gang_);
  const std::int64_t width = inner.size(1) / 2;
  const at::Tensor gate = activate(inner.narrow(1, 0, width), config_.activation);
  return row_parallel(gate * inner.narrow(1, width, width), layer.down.weight, layer.down.bias, gang_);
}

/// [tokens, 3, heads, head_dim]
at::Tensor Seq2Seq::qkv(const Stack& stack, const Layer& layer, const at::Tensor& x) const {
  return linear(x, layer.qkv.weight, layer.qkv.bias).unflatten(1, {3, stack.facts.heads, stack.facts.head_dim});
}

/// [all rows' texts' states, 2, heads, head_dim]; each of `texts.states` goes through the product once.
at::Tensor Seq2Seq::text_kv(const Layer& layer, const Texts& texts) const {
  const Seq2SeqStack& facts = decoder_.facts;
  const at::Tensor kv = linear(texts.states, layer.cross_kv.weight, layer.cross_kv.bias);
  return (texts.places.defined() ? kv.index_select(0, texts.places) : kv)
      .unflatten(1, {2, facts.heads, facts.head_dim});
}

at::Tensor Seq2Seq::cross_attention(const Layer& layer, const at::Tensor& x, std::span<const std::int64_t> lengths,
                                    const at::Tensor& kv, std::span<const std::int64_t> texts) const {
  const Seq2SeqStack& facts = decoder_.facts;
  const at::Tensor q = linear(x, layer.cross_q.weight, layer.cross_q.bias).unflatten(1, {facts.heads, facts.head_dim});
  const at::Tensor out = attend_texts(q, kv.select(1, 0), kv.select(1, 1), lengths, texts, {scale(decoder_)});
  return row_parallel(out, layer.cross_output.weight, layer.cross_output.bias, gang_);
}

at::Tensor Seq2Seq::embed(const Stack& stack, std::span<const TokenId> tokens, const Tokens& positions) const {
  at::Tensor x = at::embedding(words_, token_tensor(tokens, words_.device()));
  if (config_.embedding_scale != 1) x.mul_(config_.embedding_scale);
  if (stack.positions.defined())
    x.add_(at::embedding(stack.positions, token_tensor(positions, words_.device()) + kPositionOffset));
  return stack.input_norm(x);
}

template <class Block>
void Seq2Seq::add(at::Tensor& x, const Norm& norm, const Block& block) const {
  if (config_.norms_sums)
    x = norm(x.add_(block(x)));
  else
    x.add_(block(norm(x)));
}

at::Tensor Seq2Seq::run(const Stack& stack, std::span<const TokenId> tokens, std::span<const std::int64_t> lengths,
                        const Texts* texts) const {
  Counted counted;
  Tokens positions;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    for (std::int32_t at = 0; at < lengths[i]; ++at) positions.push_back(at);
    const auto length = static_cast<double>(lengths[i]), text = static_cast<double>(texts ? texts->lengths[i] : 0);
    counted.tokens += length;
    counted.attended += length * (stack.causal ? (length + 1) / 2 : length) + length * text;
  }
  if (texts) counted.text_tokens = static_cast<double>(texts->states.size(0));
  count(stack, counted);
  const std::int64_t most = *std::ranges::max_element(lengths);
  at::Tensor longest;  // the bias of a layer, of the longest row
  const PositionBias of_distances = [&](const at::Tensor& q, const at::Tensor&) {  // a corner of it
    return longest.narrow(2, 0, q.size(2)).narrow(3, 0, q.size(2));
  };
  at::Tensor x = embed(stack, tokens, positions);
  for (const Layer& layer : stack.layers) {
    if (layer.bias.defined()) longest = position_bias(stack, layer.bias, most);
    add(x, layer.norm, [&](const at::Tensor& in) {
      const at::Tensor heads = qkv(stack, layer, in);
      const TextAttention how = longest.defined() ? TextAttention{scale(stack), of_distances}
                                                  : TextAttention{.scale = scale(stack), .causal = stack.causal};
      const at::Tensor out =
          attend_texts(heads.select(1, 0), heads.select(1, 1), heads.select(1, 2), lengths, lengths, how);
      return row_parallel(out, layer.output.weight, layer.output.bias, gang_);
    });
    if (texts)
      add(x, layer.cross_norm, [&](const at::Tensor& in) {
        return cross_attention(layer, in, lengths, text_kv(layer, *texts), texts->lengths);
      });
    add(x, layer.mlp_norm, [&](const at::Tensor& in) { return feed_forward(layer, in); });
  }
  return stack.final_norm(x);
}

Seq2Seq::Written Seq2Seq::begin(const Texts& texts, std::int64_t room) const {
  const Seq2SeqStack& facts = decoder_.facts;
  const at::TensorOptions options = texts.states.options();
  Written written;
  written.texts = texts.lengths;
  const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(texts.lengths.size()), facts.heads, room,
                                           facts.head_dim};
  for (const Layer& layer : decoder_.layers) {
    written.keys.push_back(at::empty(shape, options));
    written.values.push_back(at::empty(shape, options));
    written.text_kv.push_back(text_kv(layer, texts));
  }
  count(decoder_, {0, static_cast<double>(texts.states.size(0)), 0});
  return written;
}

at::Tensor Seq2Seq::step(Written& written, const Tokens& tokens) const {
  const std::int64_t at = written.length++, length = written.length;
  const auto rows = static_cast<std::int64_t>(tokens.size());
  Counted counted{static_cast<double>(rows), 0, static_cast<double>(rows * length)};
  for (const std::int64_t text : written.texts) counted.attended += static_cast<double>(text);
  count(decoder_, counted);
  const std::vector<std::int64_t> ones(tokens.size(), 1);
  at::Tensor x = embed(decoder_, tokens, Tokens(tokens.size(), static_cast<TokenId>(at)));
  at::Tensor bias;  // [1, heads, 1, length], of the last position
  for (std::size_t i = 0; i < decoder_.layers.size(); ++i) {
    const Layer& layer = decoder_.layers[i];
    if (layer.bias.defined()) {
      Tokens buckets;
      for (std::int64_t key = 0; key < length; ++key)
        buckets.push_back(static_cast<std::int32_t>(t5_bucket(key - at, false, config_.buckets, config_.max_distance)));
      bias = at::embedding(layer.bias, token_tensor(buckets, x.device())).t().contiguous().view({1, -1, 1, length});
    }
    add(x, layer.norm, [&](const at::Tensor& in) {
      const at::Tensor heads = qkv(decoder_, layer, in);
      const at::Tensor &keys = written.keys[i], &values = written.values[i];
      keys.select(2, at).copy_(heads.select(1, 1));
      values.select(2, at).copy_(heads.select(1, 2));
      const Attended attended = attend(heads.select(1, 0).unsqueeze(2), keys.narrow(2, 0, length),
                                       values.narrow(2, 0, length), {scale(decoder_), false, bias});
      return row_parallel(attended.out.flatten(1), layer.output.weight, layer.output.bias, gang_);
    });
    add(x, layer.cross_norm,
        [&](const at::Tensor& in) { return cross_attention(layer, in, ones, written.text_kv[i], written.texts); });
    add(x, layer.mlp_norm, [&](const at::Tensor& in) { return feed_forward(layer, in); });
  }
  return scaled(decoder_.final_norm(x));
}

void Seq2Seq::keep(Written& written, const std::vector<std::int64_t>& rows) {
  Tokens states;
  std::vector<std::int64_t> texts;
  TokenId begin = 0;
  std::size_t next = 0;  // of `rows`
  for (std::size_t row = 0; row < written.texts.size(); begin += static_cast<TokenId>(written.texts[row++])) {
    if (next == rows.size() || rows[next] != static_cast<std::int64_t>(row)) continue;
    ++next;
    texts.push_back(written.texts[row]);
    for (TokenId state = 0; state < written.texts[row]; ++state) states.push_back(begin + state);
  }
  written.texts = std::move(texts);
  if (rows.empty()) return;
  reorder(written, rows);
  for (at::Tensor& kv : written.text_kv) kv = kv.index_select(0, token_tensor(states, kv.device()));
}

void Seq2Seq::reorder(Written& written, const std::vector<std::int64_t>& rows) {
  const at::Tensor index = token_tensor(Tokens(rows.begin(), rows.end()), written.keys[0].device());
  for (auto* all : {&written.keys, &written.values})
    for (at::Tensor& of_layer : *all) of_layer = of_layer.index_select(0, index);
}

void Seq2Seq::count(const Stack& stack, const Counted& counted) const {
  tokens_computed_ += static_cast<std::uint64_t>(counted.tokens);
  double weights = 0, of_texts = 0;
  for (const Layer& layer : stack.layers) {
    for (const at::Tensor& weight : {layer.qkv.weight, layer.output.weight, layer.cross_q.weight,
                                     layer.cross_output.weight, layer.up.weight, layer.down.weight})
      if (weight.defined()) weights += static_cast<double>(weight.numel());
    if (layer.cross_kv.weight.defined()) of_texts += static_cast<double>(layer.cross_kv.weight.numel());
  }
  flops_ += 2 * (weights * counted.tokens + of_texts * counted.text_tokens) +
            4 * static_cast<double>(stack.facts.width()) * static_cast<double>(stack.layers.size()) * counted.attended;
}

at::Tensor Seq2Seq::encode(std::span<const TokenId> tokens, std::span<const std::int64_t> lengths) const {
  return run(encoder_, tokens, lengths, nullptr);
}

at::Tensor Seq2Seq::scaled(const at::Tensor& states) const {
  return config_.tied_embeddings && config_.scales_states ? states * std::pow(static_cast<double>(config_.hidden), -0.5)
                                                          : states;
}

at::Tensor Seq2Seq::decode(std::span<const TokenId> tokens, std::span<const std::int64_t> lengths,
                           const Texts& texts) const {
  return scaled(run(decoder_, tokens, lengths, &texts));
}

at::Tensor Seq2Seq::products(const at::Tensor& states, const at::Tensor& head, const at::Tensor& bias) const {
  flops_ += 2 * static_cast<double>(head.numel()) * static_cast<double>(states.size(0));
  const at::Tensor logits = at::linear(states, head);
  return (bias.defined() ? logits + bias : logits).to(at::kFloat);
}

at::Tensor Seq2Seq::logits_of(const at::Tensor& states, const Tokens& tokens) const {
  const at::Tensor ids = token_tensor(tokens, head_.device());
  return products(states, head_.index_select(0, ids),
                  head_bias_.defined() ? head_bias_.index_select(0, ids) : at::Tensor());
}

at::Tensor Seq2Seq::classify(const at::Tensor& states) const {
  return linear(states, head_, head_bias_).to(at::kFloat);
}

}  // namespace proctor
