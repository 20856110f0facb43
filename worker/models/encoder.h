// A bidirectional encoder over packed texts: [tokens, hidden], no padding; each text attends itself, or its first
// tokens. Compute thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/checkpoint/encoder_config.h"
#include "worker/models/norm.h"
#include "worker/models/relative_positions.h"
#include "worker/models/rope_angles.h"
#include "worker/models/row_parallel.h"
#include "worker/models/weights.h"

namespace proctor {

class Encoder {
 public:
  /// `config`: the whole model's. `weights`: a member's. The communicator must outlive every forward().
  Encoder(const EncoderConfig& config, const Weights& weights, Communicator& gang);

  /// Collective. Texts one after another, `lengths` tokens each (none 0); types: token type ids; `attended`: of each
  /// text how many of its first tokens are attended, by all of its tokens (empty: all; with a reach, all). Neighbours
  /// of one length are attended in one call. Returns the last layer's states, [tokens, hidden].
  at::Tensor forward(std::span<const TokenId> tokens, std::span<const TokenId> types,
                     std::span<const std::int64_t> lengths, std::span<const std::int64_t> attended = {}) const {
    return run(tokens, types, lengths, attended, false);
  }
  /// Of the texts' first tokens alone, [texts, hidden]: of the last layer nothing else is computed.
  at::Tensor forward_first(std::span<const TokenId> tokens, std::span<const TokenId> types,
                           std::span<const std::int64_t> lengths) const {
    return run(tokens, types, lengths, {}, true);
  }
  /// Collective. Outputs of the classification head for each text, [texts, labels], float32.
  at::Tensor label_logits(std::span<const TokenId> tokens, std::span<const TokenId> types,
                          std::span<const std::int64_t> lengths) const;

  /// states [tokens, hidden] -> [tokens, projection].
  at::Tensor project(const at::Tensor& states) const;

  /// This member's: its heads, its feed-forward width.
  const EncoderConfig& config() const { return config_; }
  std::uint64_t tokens_computed() const { return tokens_computed_; }
  /// Of this member: 2 for each weight that a token meets, 4 x heads x head_dim for each attended key and layer.
  double flops_computed() const { return flops_; }

 private:
  struct Linear {
    at::Tensor weight, bias;
    at::Tensor later;  // the bias, where the pass behind the product adds it: on the CPU; `bias` is undefined then
  };
  struct Layer {
    Linear qkv, output, up, down;
    Norm attention_in, attention_out, mlp_in, mlp_out;
    Norm q_norm, k_norm;
  };
  /// What all layers of a forward pass have in common.
  struct Pass {
    std::span<const std::int64_t> lengths;
    std::span<const std::int64_t> seen;  // of each text, how many tokens are attended
    at::Tensor seen_tokens;              // those; undefined: all of them
    std::vector<Angles> angles;          // of each rope
    at::Tensor relative;                 // RelativeBias::common
  };
  Layer read_layer(std::size_t set, const Weights& weights) const;
  const Layer& layer_of(std::int64_t index) const { return layers_[set_of(index)]; }
  std::size_t set_of(std::int64_t index) const;
  at::Tensor run(std::span<const TokenId> tokens, std::span<const TokenId> types, std::span<const std::int64_t> lengths,
                 std::span<const std::int64_t> attended, bool first_only) const;
  at::Tensor embed(std::span<const TokenId> tokens, std::span<const TokenId> types, const at::Tensor& positions) const;
  void count(const Pass& pass, bool first_only) const;
  at::Tensor behind(const at::Tensor& x, const at::Tensor& y, const Linear& product, const Norm& norm) const;
  at::Tensor attention(std::int64_t index, const at::Tensor& x, const Pass& pass, bool of_first) const;
  at::Tensor heads_of(const Layer& layer, const at::Tensor& x, std::int64_t first, std::int64_t heads) const;
  at::Tensor feed_forward(const Layer& layer, const at::Tensor& x) const;
  double scale() const;
  bool norms_sums() const { return config_.norms == EncoderConfig::Norms::of_sums; }

  EncoderConfig config_;
  Communicator& gang_;
  at::Tensor words_, positions_, types_;
  double embedding_scale_ = 1;
  Linear input_projection_;
  Norm input_norm_, final_norm_;
  std::vector<at::Tensor> inverse_frequencies_;  // of each rope
  RelativeBias relative_;
  std::vector<Layer> layers_;     // sets of weights
  Linear head_dense_, head_out_;  // undefined where there is no head
  Norm head_norm_;
  at::Tensor projection_;                      // undefined where there is none
  mutable std::uint64_t tokens_computed_ = 0;  // no part of what it computes
  mutable double flops_ = 0;
};

}  // namespace proctor
