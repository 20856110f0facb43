#include "worker/checkpoint/encoder_reader.h"

#include "worker/checkpoint/families.h"

namespace proctor {
namespace {

/// Training, or what no checkpoint of these families computes.
void pass_by_training(ConfigReader& reader) {
  for (const char* key : {"attention_probs_dropout_prob",
                          "hidden_dropout_prob",
                          "classifier_dropout",
                          "classifier_dropout_prob",
                          "pooler_fc_size",
                          "pooler_num_attention_heads",
                          "pooler_num_fc_layers",
                          "pooler_size_per_head",
                          "pooler_type",
                          "pooler_dropout",
                          "directionality",
                          "sentence_transformers",
                          "sbert_ce_default_activation_function",
                          "summary_activation",
                          "summary_last_dropout",
                          "summary_type",
                          "summary_use_proj",
                          "legacy",
                          "gap_size",
                          "net_structure_type",
                          "num_memory_blocks",
                          "down_scale_factor",
                          "embedding_hidden_size"})
    (void)reader.find(key);
}

}  // namespace

Activation read_encoder_activation(ConfigReader& reader, const char* key, const char* fallback) {
  const std::string name = reader.get(key, std::string(fallback));
  const auto known = activation_named(name);
  if (!known || *known == Activation::xielu) reader.refuse(key, "is '" + name + "', which is not implemented");
  return *known;
}

void name_layers(EncoderConfig& config, const std::string& before) {
  config.names.layers.clear();
  for (std::int64_t layer = 0; layer < config.layers; ++layer)
    config.names.layers.push_back(before + std::to_string(layer) + ".");
}

EncoderConfig read_encoder(ConfigReader& reader, const EncoderDefaults& d) {
  EncoderConfig c;
  c.vocabulary = reader.get("vocab_size", d.vocabulary);
  c.hidden = reader.get("hidden_size", d.hidden);
  c.intermediate = reader.get("intermediate_size", d.intermediate);
  c.layers = reader.get("num_hidden_layers", d.layers);
  c.heads = reader.get("num_attention_heads", d.heads);
  c.positions = 0;
  if (d.epsilon_key) c.norm.epsilon = reader.positive(d.epsilon_key, d.epsilon, 1);
  c.types = reader.get("type_vocab_size", d.types);
  c.activation = read_encoder_activation(reader, d.activation_key, d.activation);
  reader.require("position_embedding_type", d.position_type, std::string("is not ") + d.position_type);
  reader.require("is_decoder", false, "marks a decoder");
  reader.require("add_cross_attention", false, "asks for cross attention");
  reader.require_unquantized();
  pass_by_training(reader);
  if (reader.get<std::int64_t>("pad_token_id", 0) < 0) reader.refuse("pad_token_id", "is below 0");
  reader.require_layers("num_hidden_layers", c.layers);
  reader.require_sizes({{"vocab_size", c.vocabulary},
                        {"hidden_size", c.hidden},
                        {"intermediate_size", c.intermediate},
                        {"num_attention_heads", c.heads}});
  if (c.types < 0) reader.refuse("type_vocab_size", "is below 0");
  if (c.hidden % c.heads != 0) reader.refuse("num_attention_heads", "does not divide hidden_size");
  c.head_dim = c.hidden / c.heads;
  name_layers(c, "encoder.layer.");
  return c;
}

void read_position_table(ConfigReader& reader, EncoderConfig& config, std::int64_t first) {
  config.positions = reader.get<std::int64_t>("max_position_embeddings", 512);
  config.first_position = first;
  reader.require_sizes({{"max_position_embeddings", config.max_tokens()}});
}

}  // namespace proctor
