// What T5 and its kin compute, as facts and not as family names (see encoder_config.h).
#pragma once

#include <cstdint>

#include "worker/base/activation.h"

namespace proctor {

struct T5Config {
  std::int64_t vocabulary = 32128, hidden = 512, intermediate = 2048, head_dim = 64, heads = 8, layers = 6;
  std::int64_t decoder_layers = 6;                ///< 0: an encoder with a head
  std::int64_t buckets = 32, max_distance = 128;  ///< of relative positions
  double norm_epsilon = 1e-6;
  Activation activation = Activation::relu;
  bool gated = false;            ///< feed-forward: act(x W0) * (x W1)
  bool tied_embeddings = true;   ///< then the decoder's states are scaled by hidden^-1/2 before the head
  std::int32_t start_token = 0;  ///< the decoder's first
  /// Outputs of a linear head on the first token's state, of an encoder without a decoder; 0: there is none.
  std::int64_t labels = 0;

  std::int64_t width() const { return heads * head_dim; }  ///< of queries, keys and values
};

}  // namespace proctor
