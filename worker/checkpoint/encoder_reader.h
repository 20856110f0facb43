// What readers of encoder families have in common. A family's reader begins with read_encoder() and says what differs.
#pragma once

#include <string>
#include <vector>

#include "worker/checkpoint/config_reader.h"
#include "worker/checkpoint/encoder_config.h"

namespace proctor {

/// What a family's configuration class has where config.json lacks the key.
struct EncoderDefaults {
  std::int64_t vocabulary = 30522, hidden = 768, intermediate = 3072, layers = 12, heads = 12;
  double epsilon = 1e-12;
  const char* epsilon_key = "layer_norm_eps";  ///< null: the family has the default, whatever the file says
  std::int64_t types = 2;
  const char* activation_key = "hidden_act";
  const char* activation = "gelu";
  const char* position_type = "absolute";
};

/// Sizes, epsilon, activation, BERT's names, and the refusals that hold for all families. No positions.
EncoderConfig read_encoder(ConfigReader& reader, const EncoderDefaults& defaults);
/// max_position_embeddings rows, of which texts begin at `first`.
void read_position_table(ConfigReader& reader, EncoderConfig& config, std::int64_t first);
/// The activation by transformers' name. Throws InputError for one that is not implemented.
Activation read_encoder_activation(ConfigReader& reader, const char* key, const char* fallback);
/// Each layer's: `before`, its number, a dot.
void name_layers(EncoderConfig& config, const std::string& before);

/// A row of the table.
struct EncoderFamily {
  const char* name;
  EncoderConfig (*read)(ConfigReader&);
  const char* prefix;  ///< of the tensors' names, without the head's
  bool has_head = false, projects = false;
  bool of_decoder = false;  ///< a decoder's name: an encoder where use_bidirectional_attention is true
};

const std::vector<EncoderFamily>& rotary_encoder_families();

}  // namespace proctor
