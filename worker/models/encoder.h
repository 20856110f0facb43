// A bidirectional encoder over packed texts: [tokens, hidden], no padding; each text attends itself, or its first
// tokens. Compute thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/checkpoint/encoder_config.h"
#include "worker/models/row_parallel.h"
#include "worker/models/weights.h"

namespace proctor {

class Encoder {
 public:
  /// `config`: the whole model's. `weights`: a member's. The communicator must outlive every forward().
  Encoder(const EncoderConfig& config, const Weights& weights, Communicator& gang);

  /// Collective. Texts one after another, `lengths` tokens each (none 0); types: token type ids; `attended`: of each
  /// text how many of its first tokens are attended, by all of its tokens (empty: all). Neighbours of one length are
  /// attended in one call. Returns the last layer's states, [tokens, hidden].
  at::Tensor forward(std::span<const TokenId> tokens, std::span<const TokenId> types,
                     std::span<const std::int64_t> lengths, std::span<const std::int64_t> attended = {}) const {
    return run(tokens, types, lengths, attended, false);
  }
  /// Of the texts' first tokens alone, [texts, hidden]: of the last layer nothing else is computed.
  at::Tensor forward_first(std::span<const TokenId> tokens, std::span<const TokenId> types,
                           std::span<const std::int64_t> lengths) const {
    return run(tokens, types, lengths, {}, true);
  }

  /// The classification head over first tokens' states [texts, hidden] -> [texts, labels], float32.
  at::Tensor classify(const at::Tensor& states) const;

  /// states [tokens, hidden] -> [tokens, projection].
  at::Tensor project(const at::Tensor& states) const;

  /// This member's: its heads, its feed-forward width.
  const EncoderConfig& config() const { return config_; }
  std::uint64_t tokens_computed() const { return tokens_computed_; }
  /// Of this member: 2 for each weight that a token meets, 4 x heads x head_dim for each attended key and layer.
  double flops_computed() const { return flops_; }

 private:
  struct Norm {
    at::Tensor weight, bias;
  };
  struct Linear {
    at::Tensor weight, bias;
    at::Tensor later;  // the bias, where the pass behind the product adds it: on the CPU; `bias` is undefined then
  };
  struct Layer {
    Linear qkv, output, up, down;
    Norm attention_norm, output_norm;
  };
  at::Tensor run(std::span<const TokenId> tokens, std::span<const TokenId> types, std::span<const std::int64_t> lengths,
                 std::span<const std::int64_t> attended, bool first_only) const;
  void count(std::span<const std::int64_t> lengths, std::span<const std::int64_t> seen, bool first_only) const;
  at::Tensor added(const at::Tensor& x, const at::Tensor& y, const at::Tensor& bias, const Norm& norm) const;
  at::Tensor heads_of(const at::Tensor& x, std::int64_t parts) const;
  double scale() const;
  /// What the texts' tokens attend: `tokens` (undefined: all of them), `lengths` of each text.
  struct Seen {
    at::Tensor tokens;
    std::span<const std::int64_t> lengths;
  };
  at::Tensor attention(const Layer& layer, const at::Tensor& x, std::span<const std::int64_t> lengths,
                       const Seen& seen) const;
  at::Tensor attention_of_first(const Layer& layer, const at::Tensor& first, const at::Tensor& x,
                                const Seen& seen) const;
  at::Tensor feed_forward(const Layer& layer, const at::Tensor& x) const;

  EncoderConfig config_;
  Communicator& gang_;
  at::Tensor words_, positions_, types_;
  Norm input_norm_;
  std::vector<Layer> layers_;
  Linear head_dense_, head_out_;               // undefined where there is no head
  at::Tensor projection_;                      // undefined where there is none
  mutable std::uint64_t tokens_computed_ = 0;  // no part of what it computes
  mutable double flops_ = 0;
};

}  // namespace proctor
