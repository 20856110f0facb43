// A decoder-only transformer over packed tokens: [total_tokens, hidden], no padding. It knows layers and rotary
// positions; what a token may attend comes in from outside, so scoring, prefill and decoding share it. In a gang each
// member computes its heads and feed-forward columns, and the sums are added up: Megatron's tensor parallelism
// (Shoeybi et al. 2019, arXiv:1909.08053).
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/checkpoint/decoder_config.h"
#include "worker/checkpoint/tensor_parallel.h"
#include "worker/communicator/communicator.h"
#include "worker/kernels/attention.h"
#include "worker/models/feed_forward.h"
#include "worker/models/image_features.h"
#include "worker/models/norm.h"
#include "worker/models/rope_angles.h"
#include "worker/models/row_parallel.h"
#include "worker/models/weights.h"

namespace proctor {

/// Attention of one layer: q [tokens, heads, head_dim], k and v [tokens, kv_heads, head_dim], rotated; returns
/// [tokens, heads, head_dim] and [tokens, heads].
using Attend =
    std::function<Attended(std::int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v)>;

class Decoder {
 public:
  /// `config`: the whole model's. `weights`: of member_sources. The communicator must outlive every forward(), and so
  /// must `images`, whose features stand in rows as ids past the vocabulary; null: such ids are not given.
  Decoder(const DecoderConfig& config, const Weights& weights, Communicator& gang,
          const ImageFeatures* images = nullptr);

  struct Asked {
    /// Indices of the tokens whose states are returned; of the last layer nothing but keys, values and attention is
    /// computed for others. Not given: all.
    std::optional<std::span<const TokenId>> tokens = std::nullopt;
    Products products = Products::packed;
    bool of_long_texts = false;  ///< of rows longer than config().longest_short()
    /// What turns each token instead of its position, where there are images and has_three_positions.
    std::span<const std::array<std::int32_t, 3>> places = {};
  };
  /// Collective. A position counts the tokens before its own, all attended. Returns the last layer's normalised states
  /// of what is asked for, [asked tokens, hidden], the same in every member.
  at::Tensor forward(std::span<const TokenId> tokens, std::span<const TokenId> positions, const Attend& attend,
                     const Asked& asked) const;
  /// states [rows, hidden] -> logits [rows, vocabulary().padded] of this member's part of the vocabulary, float32 (the
  /// product itself in the module's dtype); -inf where it is padded.
  at::Tensor logits(const at::Tensor& states, Products products = Products::packed) const;

  /// This member's: its heads, its feed-forward width.
  const DecoderConfig& config() const { return config_; }
  const VocabularyShare& vocabulary() const { return vocabulary_; }
  Communicator& gang() const { return gang_; }
  /// ids [n], int64, of the whole vocabulary -> rows of this member's part; 0 and marked where another member has it.
  struct LocalIds {
    at::Tensor rows, is_remote;  // [n]: int64, bool
  };
  LocalIds local(const at::Tensor& ids) const;
  at::TensorOptions options() const { return embedding_.options(); }

  std::uint64_t tokens_computed() const { return tally_.tokens; }
  /// Of this member so far: 2 for each weight of a layer and token, and of the head and row; 4 x heads x head_dim for
  /// each attended key and layer.
  double flops_computed() const;
  /// Seconds in which this device does that many FLOPs in the decoder's own products alone: those of the first layer
  /// and of the head are timed now, at the mean number of rows so far. Takes as long as some two layers of a batch.
  double seconds_of_products() const;

 private:
  struct Layer {
    Norm attention_in, attention_out, mlp_in, mlp_out;
    at::Tensor qkv, qkv_bias, gate, output, output_bias, sinks;
    HeadNorm q_norm, k_norm;
    FeedForward feed_forward;
  };
  struct Tally {  // of forward() and logits()
    std::uint64_t tokens = 0, forwards = 0, head_rows = 0, heads = 0;
    double attended = 0;      // keys, of all tokens and layers
    double without_rest = 0;  // tokens that went through the last layer's first product alone, less those asked twice
  };
  double first_flops(const Layer& layer) const;  // of the product before attention, a token
  double rest_flops(const Layer& layer) const;   // of those behind it
  double head_flops() const;                     // a row
  double attention_flops() const;
  void count(std::span<const TokenId> positions, const Asked& asked) const;
  Layer read_layer(std::int64_t index, const Weights& weights);
  /// Where images stand.
  struct ImageSlots {
    at::Tensor slots, features;  // [slots], int64: of the tokens given; rows of images_
  };
  ImageSlots image_slots(std::span<const TokenId> tokens) const;
  at::Tensor embed(std::span<const TokenId> tokens, std::span<const TokenId> positions, const ImageSlots& images) const;
  void add_deep_features(const at::Tensor& x, std::int64_t layer, const ImageSlots& images) const;
  struct Turns {
    std::vector<Angles> angles;  // of each rope
    at::Tensor query_scale;      // [tokens, 1, 1]; undefined: 1
  };
  Turns turns_of(std::span<const TokenId> positions, const Asked& asked) const;
  at::Tensor attention(std::int64_t index, const at::Tensor& x, const Turns& turns, const Attend& attend,
                       Products products) const;
  void norm_heads(const Layer& layer, at::Tensor& q, at::Tensor& k) const;
  void scale_residual(const at::Tensor& x) const;

  DecoderConfig config_;
  const ImageFeatures* images_;
  TokenId first_image_id_;
  VocabularyShare vocabulary_;
  Communicator& gang_;
  std::vector<Layer> layers_;
  at::Tensor embedding_, positions_, project_in_, project_out_, head_, head_bias_;
  Norm embedding_norm_, final_norm_;
  struct Turn {
    Rope rope;
    at::Tensor inverse_frequencies;
  };
  std::vector<Turn> ropes_, long_ropes_;  // of texts up to the original length, and of longer ones
  double embedding_scale_ = 1;
  mutable Tally tally_;  // no part of what it computes
};

}  // namespace proctor
