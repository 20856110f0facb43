// What a bidirectional transformer encoder (BERT and its kin) computes, as facts and not as family names:
// models/families turns a config.json into this and a list of weight sources; models/encoder computes it.
#pragma once

#include <cstdint>

#include "worker/base/activation.h"

namespace proctor {

struct EncoderConfig {
  std::int64_t vocabulary = 30522, hidden = 768, intermediate = 3072, layers = 12, heads = 12, head_dim = 64;
  std::int64_t positions = 512;     ///< rows of the position table
  std::int64_t first_position = 0;  ///< of a text's first token
  std::int64_t types = 2;           ///< rows of the token type table
  double norm_epsilon = 1e-12;
  Activation activation = Activation::gelu;
  /// Outputs of the classification head: tanh(dense(first token)), then linear; 0: there is none.
  std::int64_t labels = 0;
  std::int64_t projection = 0;  ///< width of a token's projected vector (ColBERT); 0: there is none

  std::int64_t width() const { return heads * head_dim; }  ///< of queries, keys and values
  std::int64_t max_tokens() const { return positions - first_position; }
};

}  // namespace proctor
