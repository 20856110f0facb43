// What a bidirectional transformer encoder (BERT and its kin) computes, as facts and not as family names:
// checkpoint/families turns a config.json into this, encoder_weights.cc this into a list of weight sources;
// models/encoder computes it. The defaults are BERT's. Includes no torch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/base/activation.h"
#include "worker/checkpoint/decoder_config.h"

namespace proctor {

/// What is added to the products of queries and keys by how far they are apart.
struct RelativePositions {
  /// table: a number for each head and bucket of distances (MPNet; buckets as T5 has them, in both directions).
  /// disentangled: products with vectors of distances (DeBERTa, He et al. 2020, arXiv:2006.03654).
  enum class Kind { none, table, disentangled } kind = Kind::none;
  std::int64_t buckets = 0;  ///< table: rows. disentangled: distances beyond half of them are by logarithm; 0: none
  std::int64_t max_distance = 0;  ///< the logarithm's end
  std::int64_t span = 0;          ///< disentangled: distances -span .. span - 1 have a vector each
  bool of_keys = false;           ///< c2p: a query times the vector of its distance, projected as keys are
  bool of_queries = false;        ///< p2c: a key times it, projected as queries are
  bool shares_projections = false;
  bool normed = false;  ///< the vectors, by a norm of their own
};

/// Outputs for a text: out(norm(activation(dense(pooled)))), each part where it is there.
struct ClassificationHead {
  bool pools_mean = false;  ///< of all tokens, else the first one's state
  Activation activation = Activation::tanh;
  bool dense_bias = true, normed = false;
};

/// Tensors of a checkpoint, without ".weight". Those of a layer begin with its own name in `layers`; an empty name:
/// there is none. Fused tensors stand where the names of their parts are empty.
struct EncoderNames {
  std::string words = "embeddings.word_embeddings", positions = "embeddings.position_embeddings",
              types = "embeddings.token_type_embeddings", input_norm = "embeddings.LayerNorm", input_projection,
              final_norm;
  std::vector<std::string> layers;  ///< "encoder.layer.N.": as many as there are sets of weights
  std::string q = "attention.self.query", k = "attention.self.key", v = "attention.self.value", qkv, q_norm, k_norm;
  std::string position_key = "attention.self.pos_key_proj", position_query = "attention.self.pos_query_proj";
  std::string output = "attention.output.dense", attention_in, attention_out = "attention.output.LayerNorm";
  std::string gate, up = "intermediate.dense", gate_up, down = "output.dense", mlp_in, mlp_out = "output.LayerNorm";
  std::string relative, relative_norm;                        ///< of RelativePositions
  std::string head_dense, head_norm, head_out, token_vector;  ///< in full
};

struct EncoderConfig {
  std::int64_t vocabulary = 30522, hidden = 768, intermediate = 3072, layers = 12, heads = 12, head_dim = 64;
  std::int64_t kv_heads = 0;         ///< 0: as many as heads
  std::int64_t embedding_width = 0;  ///< of the tables, from which a product leads to hidden; 0: hidden
  bool projects_before_norm = false, projection_bias = false;
  std::int64_t positions = 512;     ///< rows of the position table; 0: there is none
  std::int64_t most_tokens = 0;     ///< of a text, where there is no table
  std::int64_t first_position = 0;  ///< of a text's first token
  /// A token that has the position before the first and is not counted: padding, where positions count what is not.
  std::optional<TokenId> uncounted;
  std::int64_t types = 2;  ///< rows of the token type table; 0: there is none
  double embedding_scale = 1;
  bool rounds_embedding_scale = false;  ///< to the module's dtype
  NormFacts norm = {NormFacts::Kind::layer, 1e-12, false, false, true, true};
  /// of_sums: behind each block, of what it gives and what it was given. Else before each block and behind the last
  /// layer; or also of what a block gives.
  enum class Norms { of_sums, before, around } norms = Norms::of_sums;
  bool input_norm = true, first_attention_norm = true;
  Activation activation = Activation::gelu;
  bool gated = false;
  bool activates_second = false;  ///< of the two halves of a fused gate
  bool qkv_bias = true, output_bias = true, up_bias = true, down_bias = true;

  double attention_scale = 0;           ///< of products of queries and keys; 0: 1 / sqrt(head_dim)
  bool norms_queries_and_keys = false;  ///< over each head, before the rope
  std::vector<std::int64_t> reach;      ///< of each layer: how far a token sees in both directions; 0: all. Empty: all
  std::vector<Rope> ropes;              ///< that layers have
  std::vector<std::int32_t> rope_of;    ///< of each layer, which of them; empty: none has one
  RelativePositions relative;
  std::vector<std::int64_t> weights_of;  ///< of each layer, its place in names.layers; empty: its own

  /// Outputs of the classification head; 0: there is none.
  std::int64_t labels = 0;
  ClassificationHead head;
  std::int64_t projection = 0;  ///< width of a token's projected vector (ColBERT); 0: there is none
  EncoderNames names;

  std::int64_t width() const { return heads * head_dim; }  ///< of queries
  std::int64_t keys() const { return kv_heads > 0 ? kv_heads : heads; }
  std::int64_t table_width() const { return embedding_width > 0 ? embedding_width : hidden; }
  std::int64_t max_tokens() const { return positions > 0 ? positions - first_position : most_tokens; }
  std::int64_t reach_of(std::int64_t layer) const { return reach.empty() ? 0 : reach[static_cast<std::size_t>(layer)]; }
};

}  // namespace proctor
