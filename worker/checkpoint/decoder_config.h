// What a decoder-only transformer computes, as facts and not as family names: models/families turns a config.json into
// this and a list of weight sources; models/decoder computes it.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace proctor {

struct RopeScaling {
  enum class Kind { none, linear, llama3 } kind = Kind::none;
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  double original_max_position = 8192;
};

struct DecoderConfig {
  std::int64_t vocabulary = 32000, hidden = 4096, intermediate = 11008, layers = 32;
  std::int64_t heads = 32, kv_heads = 32, head_dim = 128;
  double norm_epsilon = 1e-6;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  bool rope_interleaved = false;      ///< rotate pairs (2i, 2i+1) instead of (i, i + head_dim/2)
  std::vector<std::int64_t> windows;  ///< attended positions of each layer, itself included; 0: all
  bool qkv_bias = false, output_bias = false, mlp_bias = false;
  bool qk_norm = false;  ///< RMSNorm over head_dim on q and k before the rotation
  bool tied_embeddings = false;
  bool has_head = true;  ///< false: a base model; its states are what it is used for
  std::int64_t max_position = 2048;
};

}  // namespace proctor
