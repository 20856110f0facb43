// Encoders with decoders. Facts of each family: its configuration class and modeling file in transformers 4.57.1.
#include <cmath>
#include <map>

#include "worker/checkpoint/families.h"
#include "worker/checkpoint/generation_defaults.h"

namespace proctor {
namespace {

/// What T5's relatives have where config.json lacks the key.
struct T5Defaults {
  std::int64_t vocabulary = 32128, intermediate = 2048, heads = 8, layers = 6;
  bool tied = true;
  const char* feed_forward = "relu";
  bool bias_of_each_layer = false;
};

/// "relu", "gated-gelu": transformers takes the latter's function for gelu_new.
void read_feed_forward(ConfigReader& reader, Seq2SeqConfig& c, const std::string& usual) {
  const std::string name = reader.get("feed_forward_proj", usual);
  c.gated = name.starts_with("gated-");
  const std::string function = name == "gated-gelu" ? "gelu_new" : c.gated ? name.substr(6) : name;
  const auto known = activation_named(function);
  if (!known) reader.refuse("feed_forward_proj", "is '" + name + "', which is not implemented");
  c.activation = *known;
}

Seq2SeqConfig read_any_t5(ConfigReader& reader, const T5Defaults& d) {
  Seq2SeqConfig c;
  c.vocabulary = reader.get("vocab_size", d.vocabulary);
  c.hidden = reader.get("d_model", c.hidden);
  Seq2SeqStack& encoder = c.encoder;
  encoder.intermediate = reader.get("d_ff", d.intermediate);
  encoder.head_dim = reader.get("d_kv", encoder.head_dim);
  encoder.heads = reader.get("num_heads", d.heads);
  encoder.layers = reader.get("num_layers", d.layers);
  c.decoder = encoder;
  c.decoder.layers = reader.get("num_decoder_layers", encoder.layers);
  c.buckets = reader.get("relative_attention_num_buckets", c.buckets);
  c.max_distance = reader.get("relative_attention_max_distance", c.max_distance);
  c.norm.epsilon = reader.positive("layer_norm_epsilon", c.norm.epsilon, 1);
  c.tied_embeddings = reader.get("tie_word_embeddings", d.tied);
  c.bias_of_each_layer = d.bias_of_each_layer;
  read_feed_forward(reader, c, d.feed_forward);
  const auto pad = reader.get<std::int32_t>("pad_token_id", 0);
  c.start_token = reader.get<std::int32_t>("decoder_start_token_id", pad);
  if (c.start_token < 0 || c.start_token >= c.vocabulary) reader.refuse("decoder_start_token_id", "is no token's");
  c.most_tokens = reader.get<std::int64_t>("n_positions", 0);
  if (c.most_tokens < 0) reader.refuse("n_positions", "is below 0");
  reader.require_unquantized();
  for (const char* key : {"dropout_rate", "classifier_dropout", "initializer_factor", "task_specific_params",
                          "is_encoder_decoder", "dense_act_fn", "is_gated_act", "tokenizer_class"})
    (void)reader.find(key);  // training; what says the same again
  reader.require_sizes({{"vocab_size", c.vocabulary},
                        {"d_model", c.hidden},
                        {"d_ff", encoder.intermediate},
                        {"d_kv", encoder.head_dim},
                        {"num_heads", encoder.heads},
                        {"relative_attention_num_buckets", c.buckets}});
  reader.require_layers("num_layers", encoder.layers);
  if (c.buckets < 4) reader.refuse("relative_attention_num_buckets", "is below 4: both directions, near and far");
  if (c.max_distance <= c.buckets / 2)
    reader.refuse("relative_attention_max_distance", "is not above half of relative_attention_num_buckets");
  return c;
}

constexpr T5Defaults kMultilingual = {
    .vocabulary = 250112, .intermediate = 1024, .heads = 6, .layers = 8, .tied = false, .feed_forward = "gated-gelu"};

Seq2SeqConfig with_decoder(Seq2SeqConfig config, const ConfigReader& reader) {
  reader.require_layers("num_decoder_layers", config.decoder.layers);
  return config;
}

Seq2SeqConfig read_t5(ConfigReader& reader) { return with_decoder(read_any_t5(reader, {}), reader); }
Seq2SeqConfig read_mt5(ConfigReader& reader) { return with_decoder(read_any_t5(reader, kMultilingual), reader); }

/// Each layer has a bias of its own.
Seq2SeqConfig read_umt5(ConfigReader& reader) {
  T5Defaults defaults = kMultilingual;
  defaults.tied = defaults.bias_of_each_layer = true;
  return with_decoder(read_any_t5(reader, defaults), reader);
}

/// The encoder alone, whatever num_decoder_layers says, with a head (EncT5, Liu et al. 2021, arXiv:2110.08426; TART's
/// checkpoints).
Seq2SeqConfig read_enc_t5(ConfigReader& reader) {
  Seq2SeqConfig c = read_any_t5(reader, {});
  c.decoder.layers = 0;
  c.labels = label_count(reader);
  return c;
}

void name_bart(Seq2SeqNames& n) {
  n.words = "model.shared", n.encoder = "model.encoder.", n.decoder = "model.decoder.", n.layers = "layers.";
  n.positions = "embed_positions", n.input_norm = "layernorm_embedding", n.final_norm.clear();
  n.self = "self_attn.", n.self_norm = "self_attn_layer_norm";
  n.cross = "encoder_attn.", n.cross_norm = "encoder_attn_layer_norm";
  n.q = "q_proj", n.k = "k_proj", n.v = "v_proj", n.output = "out_proj";
  n.encoder_block.clear(), n.decoder_block.clear();
  n.mlp_norm = "final_layer_norm", n.ungated_up = "fc1", n.down = "fc2";
  n.relative.clear(), n.logits_bias = "final_logits_bias";
}

/// BART (Lewis et al. 2019, arXiv:1910.13461).
Seq2SeqConfig read_bart(ConfigReader& reader) {
  Seq2SeqConfig c;
  c.vocabulary = reader.get<std::int64_t>("vocab_size", 50265);
  c.hidden = reader.get<std::int64_t>("d_model", 1024);
  const auto read_stack = [&](Seq2SeqStack& stack, const std::string& name) {
    stack.layers = reader.get<std::int64_t>(name + "_layers", 12);
    stack.heads = reader.get<std::int64_t>(name + "_attention_heads", 16);
    stack.intermediate = reader.get<std::int64_t>(name + "_ffn_dim", 4096);
    reader.require_layers((name + "_layers").c_str(), stack.layers);
    reader.require_sizes({{"d_model", c.hidden}, {"attention_heads", stack.heads}, {"ffn_dim", stack.intermediate}});
    if (c.hidden % stack.heads != 0) reader.refuse(name + "_attention_heads", "does not divide d_model");
    stack.head_dim = c.hidden / stack.heads;
  };
  read_stack(c.encoder, "encoder");
  read_stack(c.decoder, "decoder");
  c.positions = c.most_tokens = reader.get<std::int64_t>("max_position_embeddings", 1024);
  c.buckets = 0;
  c.norm = {NormFacts::Kind::layer, 1e-5, false, false, true, true};
  c.norms_sums = c.input_norm = c.biases = c.logits_bias = c.scales_products = true;
  c.scales_states = false;
  const std::string function = reader.get("activation_function", std::string("gelu"));
  const auto known = activation_named(function);
  if (!known || *known == Activation::xielu)
    reader.refuse("activation_function", "is '" + function + "', which is not implemented");
  c.activation = *known;
  if (reader.get("scale_embedding", false)) c.embedding_scale = std::sqrt(static_cast<double>(c.hidden));
  reader.require("tie_word_embeddings", true, "is false, which is not implemented for this family");
  c.start_token = reader.get<std::int32_t>("decoder_start_token_id", 2);
  c.eos_token = c.forced_eos_token = 2;
  for (const char* key : kGenerationKeys) (void)reader.find(key);  // read_generation reads them
  reader.require_sizes({{"vocab_size", c.vocabulary}, {"max_position_embeddings", c.positions}});
  if (c.start_token < 0 || c.start_token >= c.vocabulary) reader.refuse("decoder_start_token_id", "is no token's");
  reader.require_unquantized();
  for (const char* key : {"normalize_before", "add_final_layer_norm"})
    reader.require(key, false, "is true, which BART's class in transformers does not follow");
  for (const char* key : {"normalize_embedding",
                          "add_bias_logits",
                          "static_position_embeddings",
                          "extra_pos_embeddings",
                          "classif_dropout",
                          "classifier_dropout",
                          "dropout",
                          "attention_dropout",
                          "activation_dropout",
                          "encoder_layerdrop",
                          "decoder_layerdrop",
                          "init_std",
                          "output_past",
                          "prefix",
                          "task_specific_params",
                          "num_hidden_layers",
                          "is_encoder_decoder",
                          "gradient_checkpointing",
                          "tokenizer_class",
                          "pad_token_id"})
    (void)reader.find(key);  // training; what no code reads
  name_bart(c.names);
  return c;
}

/// Saved without its head it has no bias of logits: transformers then has zeros.
Seq2SeqConfig read_bart_base(ConfigReader& reader) {
  Seq2SeqConfig c = read_bart(reader);
  c.logits_bias = false;
  return c;
}

const std::map<std::string, Seq2SeqConfig (*)(ConfigReader&)>& table() {
  static const std::map<std::string, Seq2SeqConfig (*)(ConfigReader&)> rows = {
      {"T5ForConditionalGeneration", read_t5},
      {"T5WithLMHeadModel", read_t5},
      {"MT5ForConditionalGeneration", read_mt5},
      {"UMT5ForConditionalGeneration", read_umt5},
      {"EncT5ForSequenceClassification", read_enc_t5},
      {"BartForConditionalGeneration", read_bart},
      {"BartModel", read_bart_base}};
  return rows;
}

}  // namespace

bool is_seq2seq(const std::string& architecture) { return table().contains(architecture); }

std::vector<std::string> seq2seq_names() {
  std::vector<std::string> names;
  for (const auto& [name, read] : table()) names.push_back(name);
  return names;
}

Seq2SeqConfig read_seq2seq_config(const std::string& architecture, ConfigReader& reader) {
  Seq2SeqConfig config = table().at(architecture)(reader);
  reader.finish();
  return config;
}

}  // namespace proctor
