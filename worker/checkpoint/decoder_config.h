// What a decoder-only transformer computes, as facts and not as family names: checkpoint/families turns a config.json
// into this, decoder_weights.cc this into a list of weight sources; models/decoder computes it. The defaults are a
// Llama's. Includes no torch.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/base/activation.h"

namespace proctor {

struct NormFacts {
  enum class Kind { rms, layer } kind = Kind::rms;
  double epsilon = 1e-6;
  bool plus_one = false;     ///< the checkpoint keeps weights less 1
  bool rounds_once = false;  ///< in 16 bits: after the weight only, not before it too
  bool weighted = true, bias = false;
};

/// How much of a head is rotated, and by which angles.
struct Rope {
  enum class Scaling { none, linear, llama3, yarn, longrope } scaling = Scaling::none;
  double theta = 10000;
  std::int64_t width = 128;  ///< of head_dim, from its beginning
  bool interleaved = false;  ///< rotate pairs (2i, 2i+1) instead of (i, i + width/2)
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  double original_max_position = 8192;
  double beta_fast = 32, beta_slow = 1;  ///< yarn: rotations within the original length, between which it goes over
  bool truncates = true;                 ///< yarn: to whole dimensions
  double query_beta = 0;                 ///< yarn, where the family has it: DecoderConfig::query_beta
  double attention_factor = 1;           ///< times cosines and sines
  /// longrope: of each frequency, and times cosines and sines, in texts up to the original length and in longer ones.
  std::vector<double> factors, long_factors;
  double long_attention_factor = 1;
  /// How many frequencies turn by each of three positions (DecoderConfig::has_three_positions); empty: by the one.
  std::vector<std::int64_t> sections;
  bool interleaves_sections = false;  ///< frequency by frequency, as far as they go; else one section after another
};

/// Norms of queries and keys.
struct QueryKeyNorm {
  enum class Over { none, head, width } over = Over::none;  ///< what the mean is taken of
  bool weights_of_each_head = false;            ///< over a head; else all heads have the same. Over the width: always
  std::int64_t query_heads = 0, key_heads = 0;  ///< of the whole model, as the weights are
  bool after_rope = false;
  NormFacts facts;
  bool with_rope_alone = false;  ///< not in layers without a rope
};

/// A layer's feed-forward block as a choice among experts.
struct Experts {
  std::int64_t count = 0, chosen = 0, width = 0;  ///< none where count is 0; width: an expert's own
  /// Which function of the router's products are an expert's scores: the softmax of all, that of the chosen ones alone,
  /// or each one's sigmoid.
  enum class Score { softmax, softmax_of_chosen, sigmoid } score = Score::softmax;
  bool renormalises = false;                 ///< the chosen scores are divided by their sum
  double least_sum = 0;                      ///< by which they are divided
  double scale = 1;                          ///< times the scores, last
  bool router_bias = false, biases = false;  ///< of the router; of each expert's products
  bool corrects = false;                     ///< a bias for each expert, added for the choice alone
  std::int64_t groups = 1, chosen_groups = 1;
  bool scales_input = false;   ///< a score counts before the expert, not behind it
  double jitter = 0;           ///< PhiMoE's sparse mixer: the band in which scores count, by turns; 0: none
  std::int64_t shared = 0;     ///< width of what every token goes through beside them; 0: nothing
  bool gates_shared = false;   ///< by the sigmoid of a product
  std::vector<bool> in_layer;  ///< of each layer; others have a feed-forward block of `intermediate`
};

/// Tensors of a checkpoint, without ".weight". Those of a layer begin with `layer`, its number and a dot; an empty
/// name: there is none. Fused tensors stand where the names of their parts are empty.
struct DecoderNames {
  std::string embedding = "model.embed_tokens", positions, embedding_norm;
  std::string final_norm = "model.norm", head = "lm_head", layer = "model.layers.", project_in, project_out;
  std::string q = "self_attn.q_proj", k = "self_attn.k_proj", v = "self_attn.v_proj", qkv;
  std::string attention_gate = "self_attn.gate_proj";
  std::string output = "self_attn.o_proj", q_norm = "self_attn.q_norm", k_norm = "self_attn.k_norm", sinks;
  std::string attention_in = "input_layernorm", attention_out, mlp_in = "post_attention_layernorm", mlp_out;
  std::string gate = "mlp.gate_proj", up = "mlp.up_proj", gate_up, down = "mlp.down_proj";
  std::string router = "mlp.gate", correction = "mlp.gate.e_score_correction_bias";  ///< the latter in full
  std::string xielu = "mlp.act_fn.";  ///< and alpha_p, alpha_n, beta, eps
  /// Of expert e: `experts` e "." and the name. Fused: one tensor of all experts, its name in full.
  std::string experts = "mlp.experts.", expert_gate = "gate_proj", expert_up = "up_proj", expert_down = "down_proj";
  std::string experts_gate_up, experts_down;
  std::string shared = "mlp.shared_experts.", shared_gate = "mlp.shared_expert_gate";
};

/// How fused tensors lie.
struct DecoderLayout {
  bool transposed = false;          ///< weights of layers are [inputs, outputs]
  bool groups_qkv = false;          ///< a key head's queries, its key, its value, then the next; else q, k, v
  std::int64_t qkv_parts = 1;       ///< CodeGen's: so many times a share of q, of v, of k
  bool norm_of_each_head = false;   ///< q_norm and k_norm: a tensor a head, "norms.H"
  bool experts_transposed = false;  ///< fused experts: [experts, inputs, outputs]
  bool experts_alternate = false;   ///< fused gate and up: row by row
  bool correction_has_row = false;  ///< of [1, experts], not [experts]
};

struct DecoderConfig {
  std::int64_t vocabulary = 32000, hidden = 4096, intermediate = 11008, layers = 32;
  std::int64_t heads = 32, kv_heads = 32, head_dim = 128;
  std::int64_t max_position = 2048;
  bool names_max_position = true;  ///< by a key that lm-eval looks at; else its max_length is the tokenizer's
  Tokens eos_ids;                  ///< where no file says otherwise

  NormFacts norm;                                 ///< of the layers' beginnings and ends, and the last
  bool norms_before = true, norms_after = false;  ///< of attention and feed-forward block, each
  /// The feed-forward block works on what attention adds to; or on the layer's input, with attention's norm or its own.
  /// norm_sums: what it adds to is normalised itself, behind each block.
  enum class Order { sequential, parallel, parallel_two_norms, norm_sums } order = Order::sequential;
  bool adds_to_norms = false;        ///< what a block adds to is its norm, not the sum before it
  std::int64_t embedding_width = 0;  ///< from which, and for logits to which, a product leads; 0: hidden
  bool embedding_norm = false;
  bool has_final_norm = true;

  Activation activation = Activation::silu;
  bool gated = true;
  bool qkv_bias = false, output_bias = false, mlp_bias = false, head_bias = false;
  bool tied_embeddings = false;
  bool has_head = true;          ///< false: a base model; its states are what it is used for
  bool both_directions = false;  ///< tokens attend later ones too: an encoder (see encoder_config.h)

  std::vector<std::int64_t> windows;        ///< attended positions of each layer, itself included; 0: all
  bool chunks = false;                      ///< windows are chunks instead: of positions that attend each other alone
  std::vector<Rope> ropes;                  ///< that layers have
  bool has_three_positions = false;         ///< a token of an image is rotated by its row and column
  bool images_attend_themselves = false;    ///< tokens of an image see its later ones too
  std::vector<std::int32_t> rope_of;        ///< of each layer, which of them; -1: none
  std::int64_t learned_positions = 0;       ///< rows of the table; 0: there is none
  std::int64_t position_offset = 0;         ///< of position 0 in the table
  std::vector<float> alibi_slopes;          ///< of each head; empty: none
  bool alibi_rounds = false;                ///< slopes, and slopes times positions, to bfloat16
  double alibi_scale = 1;                   ///< times what that gives
  double attention_scale = 0;               ///< of products of queries and keys
  bool scale_by_layer = false;              ///< divided by the layer's number, from 1
  double attention_cap = 0, logit_cap = 0;  ///< c: c * tanh(x / c); 0: none
  double qkv_clip = 0;                      ///< queries, keys and values stay within; 0: none
  QueryKeyNorm qk_norm;
  bool gates_attention = false;  ///< its output times the sigmoid of a product of its input
  bool sinks = false;            ///< a logit for each head that takes its share and gives nothing
  double query_beta = 0;         ///< queries times 1 + beta * ln(1 + floor(position / query_period)); 0: none
  double query_period = 8192;
  bool query_from_one = false;      ///< of position + 1 instead
  bool query_without_rope = false;  ///< in layers that have no rope alone
  double embedding_scale = 1;
  bool rounds_embedding_scale = false;  ///< to the module's dtype
  double residual_scale = 1, logit_scale = 1;
  Experts experts;

  DecoderNames names;
  DecoderLayout layout;

  /// Tokens of the longest text whose positions are turned as a short one's are.
  std::int64_t longest_short() const {
    for (const Rope& rope : ropes)
      if (rope.scaling == Rope::Scaling::longrope) return static_cast<std::int64_t>(rope.original_max_position);
    return std::numeric_limits<std::int64_t>::max();
  }
  bool has_experts(std::int64_t layer) const {
    return experts.count > 0 && experts.in_layer[static_cast<std::size_t>(layer)];
  }
};

}  // namespace proctor
