#include "worker/models/decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/floor.h>
#include <ATen/ops/log1p.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include <limits>

#include "sharding/protocol/error.h"
#include "worker/kernels/elementwise.h"
#include "worker/kernels/token_tensor.h"

namespace proctor {
namespace {

Tokens picked_of(std::span<const TokenId> tokens, std::span<const TokenId> indices) {
  Tokens picked;
  for (const TokenId index : indices) picked.push_back(tokens[static_cast<std::size_t>(index)]);
  return picked;
}

}  // namespace

Decoder::Decoder(const DecoderConfig& config, const Weights& weights, Communicator& gang, const ImageFeatures* images)
    : config_(member_config(config, share_of(gang))),
      images_(images),
      first_image_id_(static_cast<TokenId>(config.vocabulary)),
      vocabulary_(vocabulary_share(config.vocabulary, share_of(gang))),
      gang_(gang),
      embedding_(weights.at("embedding")),
      positions_(weights.find("positions")),
      project_in_(weights.find("project_in")),
      project_out_(weights.find("project_out")),
      head_(config_.tied_embeddings ? embedding_ : weights.at("head")),
      head_bias_(weights.find("head_bias")) {
  const auto norm = [&](const std::string& name) {
    return Norm(config_.norm, weights.find(name), weights.find(name + "_bias"), config_.hidden, options());
  };
  if (config_.embedding_norm) embedding_norm_ = norm("embedding_norm");
  if (config_.has_final_norm) final_norm_ = norm("final_norm");
  const auto turn = [&](const Rope& rope) { return Turn{rope, rope_inverse_frequencies(rope).to(options().device())}; };
  for (const Rope& rope : config_.ropes) {
    ropes_.push_back(turn(rope));
    long_ropes_.push_back(turn(of_long_texts(rope)));
  }
  const at::Tensor scale = at::tensor(config_.embedding_scale, at::kDouble);
  embedding_scale_ = (config_.rounds_embedding_scale ? scale.to(options().dtype()) : scale).item<double>();
  for (std::int64_t i = 0; i < config_.layers; ++i) layers_.push_back(read_layer(i, weights));
}

Decoder::Layer Decoder::read_layer(std::int64_t index, const Weights& weights) {
  const DecoderConfig& c = config_;
  const std::string of = "layers." + std::to_string(index) + ".";
  const auto find = [&](const char* name) { return weights.find(of + name); };
  const auto norm = [&](const std::string& name, bool exists) {
    if (!exists) return Norm();
    return Norm(c.norm, weights.find(of + name), weights.find(of + name + "_bias"), c.hidden, options());
  };
  const auto head_norm = [&](const char* name, std::int64_t first, std::int64_t heads) {
    if (c.qk_norm.over == QueryKeyNorm::Over::none) return HeadNorm();
    at::Tensor all = find(name);
    if (all.defined() && all.size(0) > c.head_dim) all = all.narrow(0, first * c.head_dim, heads * c.head_dim);
    return HeadNorm(c.qk_norm, all, weights.find(of + name + "_bias"), heads, c.head_dim, options());
  };
  const std::int64_t rank = gang_.rank(), size = gang_.size();
  const bool own_norm = c.order != DecoderConfig::Order::parallel;
  return {norm("attention_in", c.norms_before),
          norm("attention_out", c.norms_after),
          norm("mlp_in", c.norms_before && own_norm),
          norm("mlp_out", c.norms_after),
          find("qkv"),
          find("qkv_bias"),
          find("attention_gate"),
          find("output"),
          find("output_bias"),
          find("sinks"),
          head_norm("q_norm", rank * c.heads, c.heads),
          head_norm("k_norm", c.qk_norm.key_heads * rank / size, c.kv_heads),
          FeedForward(c, index, weights, gang_)};
}

Decoder::LocalIds Decoder::local(const at::Tensor& ids) const {
  const at::Tensor rows = ids - vocabulary_.begin;
  const at::Tensor is_remote = rows.lt(0).logical_or(rows.ge(vocabulary_.rows));
  return {rows.masked_fill(is_remote, 0), is_remote};
}

Decoder::ImageSlots Decoder::image_slots(std::span<const TokenId> tokens) const {
  Tokens slots, features;
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] >= first_image_id_) {
      slots.push_back(static_cast<TokenId>(i));
      features.push_back(tokens[i] - first_image_id_);
    }
  if (slots.empty()) return {};
  PROCTOR_CHECK(images_ && images_->rows.defined(), "an image's tokens have features");
  return {token_tensor(slots, options().device()), token_tensor(features, options().device())};
}

/// Collective. Each member has some of the ids: of a token's row all but one add zeros. Features come as they are.
at::Tensor Decoder::embed(std::span<const TokenId> tokens, std::span<const TokenId> positions,
                          const ImageSlots& images) const {
  const at::Device device = options().device();
  at::Tensor ids = token_tensor(tokens, device);
  if (images.slots.defined()) ids = ids.masked_fill(ids.ge(first_image_id_), 0);
  at::Tensor x;
  if (gang_.size() == 1) {
    x = at::embedding(embedding_, ids);
  } else {
    const auto [rows, is_remote] = local(ids);
    x = at::embedding(embedding_, rows).masked_fill(is_remote.unsqueeze(-1), 0);
    gang_.all_reduce(x);
  }
  if (embedding_scale_ != 1) x.mul_(embedding_scale_);
  if (images.slots.defined()) x.index_copy_(0, images.slots, images_->rows.index_select(0, images.features));
  if (project_in_.defined()) x = linear(x, project_in_);
  if (positions_.defined())
    x.add_(at::embedding(positions_, token_tensor(positions, device) + config_.position_offset));
  return embedding_norm_(x);
}

/// Features of the k-th deep layer of the tower, behind the decoder's k-th layer. x [tokens, hidden].
void Decoder::add_deep_features(const at::Tensor& x, std::int64_t layer, const ImageSlots& images) const {
  x.index_add_(0, images.slots, images_->deep[static_cast<std::size_t>(layer)].index_select(0, images.features));
}

Decoder::Turns Decoder::turns_of(std::span<const TokenId> positions, const Asked& asked) const {
  const at::Tensor at = token_tensor(positions, options().device()).to(at::kFloat);
  Turns turns;
  for (const Turn& turn : asked.of_long_texts ? long_ropes_ : ropes_)
    turns.angles.push_back(asked.places.empty() ? angles_of(at, turn.inverse_frequencies, turn.rope)
                                                : angles_of_places(asked.places, turn.inverse_frequencies, turn.rope));
  if (config_.query_beta != 0)
    turns.query_scale =
        (at::log1p(at::floor((at + (config_.query_from_one ? 1 : 0)) / config_.query_period)) * config_.query_beta + 1)
            .to(options().dtype())
            .view({-1, 1, 1});
  return turns;
}

/// Collective where the mean is over the heads of all members.
void Decoder::norm_heads(const Layer& layer, at::Tensor& q, at::Tensor& k) const {
  const QueryKeyNorm& norm = config_.qk_norm;
  at::Tensor of_q, of_k;
  if (norm.over == QueryKeyNorm::Over::width && gang_.size() > 1) {
    const auto squares = [](const at::Tensor& x) { return x.to(at::kFloat).square().sum({1, 2}); };
    const auto copies = static_cast<double>(gang_.size()) * static_cast<double>(config_.kv_heads) /
                        static_cast<double>(norm.key_heads);  // of each key head, in the gang
    at::Tensor sums = at::stack({squares(q), squares(k) / copies});
    gang_.all_reduce(sums);
    of_q = sums[0], of_k = sums[1];
  }
  q = layer.q_norm(q, of_q, norm.query_heads * config_.head_dim);
  k = layer.k_norm(k, of_k, norm.key_heads * config_.head_dim);
}

at::Tensor Decoder::attention(std::int64_t index, const at::Tensor& x, const Turns& turns, const Attend& attend,
                              Products products) const {
  const Layer& layer = layers_[static_cast<std::size_t>(index)];
  at::Tensor qkv = linear(x, layer.qkv, layer.qkv_bias, products).unflatten(-1, {-1, config_.head_dim});
  const std::int64_t queries = config_.heads, keys = config_.kv_heads;
  at::Tensor q = qkv.narrow(1, 0, queries), k = qkv.narrow(1, queries, keys);
  const bool has_norm = config_.qk_norm.over != QueryKeyNorm::Over::none;
  if (has_norm && !config_.qk_norm.after_rope) norm_heads(layer, q, k);
  const at::Tensor v = qkv.narrow(1, queries + keys, keys);
  if (config_.qkv_clip > 0)
    for (const at::Tensor& x : {q, k, v}) x.clamp_(-config_.qkv_clip, config_.qkv_clip);
  const std::int32_t which = config_.rope_of[static_cast<std::size_t>(index)];
  if (which >= 0) {
    const Rope& rope = config_.ropes[static_cast<std::size_t>(which)];
    const Angles& angles = turns.angles[static_cast<std::size_t>(which)];
    const auto turn = [&](const at::Tensor& heads) {
      rotate(heads.narrow(-1, 0, rope.width), angles.cos, angles.sin,
             rope.interleaved ? RotaryLayout::interleaved : RotaryLayout::halves);
    };
    if (has_norm && !config_.qk_norm.after_rope)
      turn(q), turn(k);
    else  // queries and keys lie side by side
      turn(qkv.narrow(1, 0, queries + keys));
  }
  if (has_norm && config_.qk_norm.after_rope && (which >= 0 || !config_.qk_norm.with_rope_alone))
    norm_heads(layer, q, k);
  if (turns.query_scale.defined() && (which < 0 || !config_.query_without_rope)) q = q * turns.query_scale;
  const Attended attended = attend(index, q, k, v);
  if (layer.gate.defined()) return attended.out.flatten(1) * at::sigmoid(linear(x, layer.gate, {}, products));
  if (!layer.sinks.defined()) return attended.out.flatten(1);
  const at::Tensor kept = at::sigmoid(attended.lse - layer.sinks.to(at::kFloat));  // of what softmax gave without it
  return (attended.out * kept.unsqueeze(-1)).to(x.scalar_type()).flatten(1);
}

void Decoder::scale_residual(const at::Tensor& x) const {
  if (config_.residual_scale != 1) x.mul_(config_.residual_scale);
}

at::Tensor Decoder::forward(std::span<const TokenId> tokens, std::span<const TokenId> positions, const Attend& attend,
                            const Asked& asked) const {
  count(positions, asked);
  using Order = DecoderConfig::Order;
  const bool norms_sums = config_.order == Order::norm_sums,
             one_by_one = config_.order == Order::sequential || norms_sums;
  ImageSlots images = image_slots(tokens);
  at::Tensor x = embed(tokens, positions, images);  // the sum of what the layers add
  const Turns turns = turns_of(positions, asked);
  const std::int64_t deep = images.slots.defined() ? static_cast<std::int64_t>(images_->deep.size()) : 0;
  const Norm none;
  const auto begin_of = [&](const Layer& layer) -> const Norm& { return norms_sums ? none : layer.attention_in; };
  at::Tensor normed = begin_of(layers_[0])(x);
  for (std::int64_t i = 0; i < config_.layers; ++i) {
    const Layer& layer = layers_[static_cast<std::size_t>(i)];
    const bool last = i + 1 == config_.layers;
    at::Tensor attended = attention(i, normed, turns, attend, asked.products);
    if (last && asked.tokens) {
      if (asked.tokens->empty()) return at::empty({0, config_.hidden}, options());
      const at::Tensor picked = token_tensor(*asked.tokens, options().device());
      x = x.index_select(0, picked);
      normed = normed.index_select(0, picked);
      attended = attended.index_select(0, picked);
      if (i < deep) images = image_slots(picked_of(tokens, *asked.tokens));
    }
    attended = layer.attention_out(row_parallel(attended, layer.output, layer.output_bias, gang_, asked.products));
    scale_residual(attended);
    if (config_.adds_to_norms) x = normed;
    if (norms_sums)
      x = normed = layer.attention_in.add_then(x, attended);
    else if (one_by_one)
      normed = layer.mlp_in.add_then(x, attended), attended.reset();  // not held while the widest part is computed
    else if (layer.mlp_in.exists())
      normed = layer.mlp_in(x);
    at::Tensor fed = layer.mlp_out(layer.feed_forward(normed, asked.products));
    scale_residual(fed);
    if (!one_by_one) fed.add_(attended);
    if (config_.adds_to_norms) x = normed;
    if (norms_sums) x = layer.mlp_in.add_then(x, fed), fed = at::zeros_like(fed);
    const Norm& next = last ? final_norm_ : begin_of(layers_[static_cast<std::size_t>(i) + 1]);
    if (i < deep && images.slots.defined()) {
      add_deep_features(x.add_(fed), i, images);
      normed = next(x);
    } else {
      normed = next.add_then(x, fed);
    }
  }
  return normed;
}

at::Tensor Decoder::logits(const at::Tensor& states, Products products) const {
  tally_.head_rows += static_cast<std::uint64_t>(states.size(0));
  ++tally_.heads;
  const at::Tensor projected = project_out_.defined() ? linear(states, project_out_, {}, products) : states;
  at::Tensor logits = linear(projected, head_, head_bias_, products).to(at::kFloat);
  if (config_.logit_scale != 1) logits = logits * config_.logit_scale;
  if (config_.logit_cap > 0) logits = (logits / config_.logit_cap).tanh_().mul_(config_.logit_cap);
  const std::int64_t padding = vocabulary_.padded - vocabulary_.rows;
  if (padding > 0) logits.narrow(1, vocabulary_.rows, padding).fill_(-std::numeric_limits<float>::infinity());
  return logits;
}

}  // namespace proctor
