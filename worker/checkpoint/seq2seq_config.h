// What an encoder with a decoder (T5, BART and their kin) computes, as facts and not as family names (see
// encoder_config.h). The defaults are T5's. Includes no torch.
#pragma once

#include <cstdint>
#include <string>

#include "worker/base/activation.h"
#include "worker/checkpoint/decoder_config.h"

namespace proctor {

/// One of the two halves.
struct Seq2SeqStack {
  std::int64_t layers = 6, heads = 8, head_dim = 64, intermediate = 2048;

  std::int64_t width() const { return heads * head_dim; }  ///< of queries, keys and values
};

/// Tensors of a checkpoint, without ".weight". Those of a layer begin with its stack's `layers`, its number and a dot;
/// each of attention's four with the attention's own name. An empty name: there is none.
struct Seq2SeqNames {
  std::string words = "shared", head = "lm_head";
  std::string encoder = "encoder.", decoder = "decoder.";  ///< before each stack's own
  std::string layers = "block.", positions, input_norm, final_norm = "final_layer_norm";
  std::string self = "layer.0.SelfAttention.", self_norm = "layer.0.layer_norm";
  std::string cross = "layer.1.EncDecAttention.", cross_norm = "layer.1.layer_norm";
  std::string q = "q", k = "k", v = "v", output = "o";
  std::string encoder_block = "layer.1.", decoder_block = "layer.2.";  ///< before the feed-forward block's own
  std::string mlp_norm = "layer_norm", gate = "DenseReluDense.wi_0", up = "DenseReluDense.wi_1",
              ungated_up = "DenseReluDense.wi", down = "DenseReluDense.wo";
  std::string relative = "layer.0.SelfAttention.relative_attention_bias", logits_bias;
};

struct Seq2SeqConfig {
  std::int64_t vocabulary = 32128, hidden = 512;
  Seq2SeqStack encoder, decoder;                  ///< a decoder without layers: there is none
  std::int64_t buckets = 32, max_distance = 128;  ///< of relative positions; no buckets: there are none
  bool bias_of_each_layer = false;                ///< else the first layer's is every layer's
  std::int64_t positions = 0;                     ///< of learned ones, behind two rows that nothing reads; 0: none
  NormFacts norm;
  bool norms_sums = false;  ///< behind each block, of what it gives and what it was given; else before it
  bool input_norm = false, biases = false;
  Activation activation = Activation::relu;
  bool gated = false;            ///< feed-forward: act(x W0) * (x W1)
  bool tied_embeddings = true;   ///< the head is the embedding
  bool scales_states = true;     ///< by hidden^-1/2, before a head that is tied
  bool scales_products = false;  ///< of queries and keys, by head_dim^-1/2
  double embedding_scale = 1;
  bool logits_bias = false;
  std::int32_t start_token = 0;                       ///< the decoder's first
  std::int32_t eos_token = 1, forced_eos_token = -1;  ///< where no file says otherwise; -1: none is forced
  std::int64_t most_tokens = 0;                       ///< as the configuration says; 0: it does not
  /// Outputs of a linear head on the first token's state, of an encoder without a decoder; 0: there is none.
  std::int64_t labels = 0;
  Seq2SeqNames names;

  bool has_decoder() const { return decoder.layers > 0; }
};

}  // namespace proctor
