// T5 (Raffel et al. 2020, arXiv:1910.10683) over packed texts, [tokens, hidden], without padding: an encoder with
// relative positions; a decoder whose rows attend themselves and their own text; or the encoder alone with a head.
// Compute thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>
#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/checkpoint/t5_config.h"
#include "worker/models/row_parallel.h"
#include "worker/models/weights.h"

namespace proctor {

class T5 {
 public:
  /// `config`: the whole model's. `weights`: a member's. The communicator must outlive every call.
  T5(const T5Config& config, const Weights& weights, Communicator& gang);

  /// Collective. Texts one after another, `lengths` tokens each (none 0). Returns the encoder's normalised states
  /// [tokens, hidden].
  at::Tensor encode(std::span<const TokenId> tokens, std::span<const std::int64_t> lengths) const;
  /// Collective. Row i has lengths[i] of the tokens, each seeing those before it, and all of the text's `texts[i]`
  /// states. Returns what logits() takes, [tokens, hidden].
  at::Tensor decode(std::span<const TokenId> tokens, std::span<const std::int64_t> lengths, const at::Tensor& states,
                    std::span<const std::int64_t> texts) const;
  /// decode()'s states [rows, hidden] -> [rows, vocabulary], or [rows, tokens] of these tokens alone; float32.
  at::Tensor logits(const at::Tensor& states) const { return products(states, head_); }
  at::Tensor logits_of(const at::Tensor& states, const Tokens& tokens) const;
  /// encode()'s states of first tokens, [texts, hidden] -> [texts, labels], float32.
  at::Tensor classify(const at::Tensor& states) const;

  const T5Config& config() const { return config_; }
  std::uint64_t tokens_computed() const { return tokens_computed_; }
  /// 2 for each weight that a token meets, 4 x heads x head_dim for each attended key and layer.
  double flops_computed() const { return flops_; }

 private:
  struct Layer {
    at::Tensor norm, qkv, output, cross_norm, cross_q, cross_kv, cross_output, mlp_norm, up, down;
  };
  struct Stack {
    std::vector<Layer> layers;
    at::Tensor bias, final_norm;
    bool causal = false;
  };
  /// The text's states that a decoder's rows attend.
  struct Source {
    at::Tensor states;
    std::span<const std::int64_t> lengths;
  };
  Stack stack(const std::string& name, std::int64_t layers, const Weights& weights) const;
  at::Tensor run(const Stack& stack, std::span<const TokenId> tokens, std::span<const std::int64_t> lengths,
                 const Source* source) const;
  at::Tensor cross_attention(const Layer& layer, const at::Tensor& x, std::span<const std::int64_t> lengths,
                             const Source& source) const;
  at::Tensor feed_forward(const Layer& layer, const at::Tensor& x) const;
  at::Tensor products(const at::Tensor& states, const at::Tensor& head) const;
  at::Tensor position_bias(const Stack& stack, std::int64_t length) const;
  void count(const Stack& stack, std::span<const std::int64_t> lengths, const Source* source) const;

  T5Config config_;
  Communicator& gang_;
  at::Tensor words_, head_, head_bias_;
  Stack encoder_, decoder_;
  mutable std::uint64_t tokens_computed_ = 0;  // no part of what it computes
  mutable double flops_ = 0;
};

}  // namespace proctor
