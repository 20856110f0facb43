// An encoder with a decoder over packed texts, [tokens, hidden], without padding: T5 (Raffel et al. 2020,
// arXiv:1910.10683), BART (Lewis et al. 2019, arXiv:1910.13461) and their kin; or the encoder alone with a head. The
// decoder's rows attend themselves and their own text. Compute thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>
#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/checkpoint/seq2seq_config.h"
#include "worker/models/norm.h"
#include "worker/models/row_parallel.h"
#include "worker/models/weights.h"

namespace proctor {

class Seq2Seq {
 public:
  /// `config`: the whole model's. `weights`: a member's. The communicator must outlive every call.
  Seq2Seq(const Seq2SeqConfig& config, const Weights& weights, Communicator& gang);

  /// Collective. Texts one after another, `lengths` tokens each (none 0). Returns the encoder's states
  /// [tokens, hidden].
  at::Tensor encode(std::span<const TokenId> tokens, std::span<const std::int64_t> lengths) const;
  /// What the decoder's rows attend: each its own text's states.
  struct Texts {
    at::Tensor states;                  ///< encode()'s, [tokens, hidden]
    std::vector<std::int64_t> lengths;  ///< of each row's text
    at::Tensor places = {};  ///< of all rows' texts, where in `states`, so that rows share one; undefined: they lie
                             ///< there row by row
  };
  /// Collective. Row i has lengths[i] of the tokens, each seeing those before it, and all of its text. Returns what
  /// logits() takes, [tokens, hidden].
  at::Tensor decode(std::span<const TokenId> tokens, std::span<const std::int64_t> lengths, const Texts& texts) const;
  /// decode()'s states [rows, hidden] -> [rows, vocabulary], or [rows, tokens] of these tokens alone; float32. Every
  /// member has all of them.
  at::Tensor logits(const at::Tensor& states) const { return products(states, head_, head_bias_); }
  at::Tensor logits_of(const at::Tensor& states, const Tokens& tokens) const;
  /// encode()'s states of first tokens, [texts, hidden] -> [texts, labels], float32.
  at::Tensor classify(const at::Tensor& states) const;

  /// Rows that are decoded step by step, all of one length.
  struct Written {
    std::int64_t length = 0;               ///< tokens of each row, so far
    std::vector<std::int64_t> texts;       ///< of each row: how many states it attends
    std::vector<at::Tensor> keys, values;  ///< of each layer: [rows, heads, room, head_dim]
    std::vector<at::Tensor> text_kv;       ///< of each layer: [all rows' texts' states, 2, heads, head_dim]
  };
  /// room: tokens that each row will have at most.
  Written begin(const Texts& texts, std::int64_t room) const;
  /// Collective. The next token of each row; returns what logits() takes, [rows, hidden].
  at::Tensor step(Written& written, const Tokens& tokens) const;
  /// The others leave. `rows` ascends.
  static void keep(Written& written, const std::vector<std::int64_t>& rows);
  /// Of rows of one text: these, in this order, take the place of all.
  static void reorder(Written& written, const std::vector<std::int64_t>& rows);

  const Seq2SeqConfig& config() const { return config_; }
  std::uint64_t tokens_computed() const { return tokens_computed_; }
  /// 2 for each weight that a token meets, 4 x heads x head_dim for each attended key and layer.
  double flops_computed() const { return flops_; }

 private:
  struct Linear {
    at::Tensor weight, bias;
  };
  struct Layer {
    Norm norm, cross_norm, mlp_norm;
    Linear qkv, output, cross_q, cross_kv, cross_output, up, down;
    at::Tensor bias;  ///< by distance, [buckets, heads]; undefined: the first layer's, if there is one
  };
  struct Stack {
    Seq2SeqStack facts;
    std::vector<Layer> layers;
    at::Tensor positions;
    Norm input_norm, final_norm;
    bool causal = false;
  };
  Stack read_stack(const std::string& name, const Seq2SeqStack& facts, const Weights& weights) const;
  at::Tensor run(const Stack& stack, std::span<const TokenId> tokens, std::span<const std::int64_t> lengths,
                 const Texts* texts) const;
  at::Tensor embed(const Stack& stack, std::span<const TokenId> tokens, const Tokens& positions) const;
  /// x plus what a block gives for it, each normed where the facts say.
  template <class Block>
  void add(at::Tensor& x, const Norm& norm, const Block& block) const;
  at::Tensor qkv(const Stack& stack, const Layer& layer, const at::Tensor& x) const;
  at::Tensor text_kv(const Layer& layer, const Texts& texts) const;
  at::Tensor cross_attention(const Layer& layer, const at::Tensor& x, std::span<const std::int64_t> lengths,
                             const at::Tensor& kv, std::span<const std::int64_t> texts) const;
  at::Tensor feed_forward(const Layer& layer, const at::Tensor& x) const;
  at::Tensor products(const at::Tensor& states, const at::Tensor& head, const at::Tensor& bias) const;
  at::Tensor position_bias(const Stack& stack, const at::Tensor& table, std::int64_t length) const;
  at::Tensor scaled(const at::Tensor& states) const;
  double scale(const Stack& stack) const;
  struct Counted {
    double tokens = 0, text_tokens = 0, attended = 0;  ///< text_tokens: whose keys and values are computed
  };
  void count(const Stack& stack, const Counted& counted) const;

  Seq2SeqConfig config_;
  Communicator& gang_;
  at::Tensor words_, head_, head_bias_;
  Stack encoder_, decoder_;
  mutable std::uint64_t tokens_computed_ = 0;  // no part of what it computes
  mutable double flops_ = 0;
};

}  // namespace proctor
