// Encoders whose queries and keys are rotated by their positions. Facts: ModernBERT's and Gemma 3's configuration
// classes and modeling files in transformers 4.57.1, NomicBert's and GTE's in 5.24.0 and in their folders' own code.
#include <algorithm>
#include <cmath>

#include "worker/checkpoint/decoder_reader.h"
#include "worker/checkpoint/encoder_reader.h"

namespace proctor {
namespace {

using Json = nlohmann::json;
using Norms = EncoderConfig::Norms;
constexpr double kMostTheta = 1e12;

void read_most_tokens(ConfigReader& reader, EncoderConfig& c, const char* key, std::int64_t fallback) {
  c.positions = 0;
  c.most_tokens = reader.get(key, fallback);
  reader.require_sizes({{key, c.most_tokens}});
}

Rope plain_rope(const EncoderConfig& c, double theta) {
  Rope rope;
  rope.theta = theta;
  rope.width = c.head_dim;
  return rope;
}

void require_pairs(const ConfigReader& reader, const EncoderConfig& c) {
  if (c.head_dim % 2 != 0) reader.refuse("num_attention_heads", "gives heads of an odd width, which are not rotated");
}

/// transformers 5: rope_parameters has a theta for each kind of layer. Absent: `fallback`.
double theta_of_kind(ConfigReader& reader, const char* kind, double fallback) {
  const Json* json = reader.find("rope_parameters");
  if (!json || json->is_null()) return fallback;
  if (!json->is_object() || !json->contains(kind) || !json->at(kind).is_object())
    reader.refuse("rope_parameters", std::string("says nothing of ") + kind);
  const Json& own = json->at(kind);
  if (own.value("rope_type", "default") != "default")
    reader.refuse("rope_parameters", std::string("has another rope_type than default for ") + kind);
  for (const auto& [key, value] : own.items())
    if (key != "rope_type" && key != "rope_theta" && !value.is_null())
      reader.refuse("rope_parameters", "has the key '" + key + "', which is not read");
  const double theta = own.value("rope_theta", fallback);
  if (!(theta > 0 && theta < kMostTheta)) reader.refuse("rope_parameters", "has a rope_theta that is none");
  return theta;
}

/// Which layers see their neighbours alone; each kind has its rope.
void read_modernbert_layers(ConfigReader& reader, EncoderConfig& c) {
  constexpr double kGlobalTheta = 160000, kLocalTheta = 10000;
  reader.require("rope_scaling", Json(), "is not supported for this family");
  const double global = reader.positive("global_rope_theta", kGlobalTheta, kMostTheta);
  const Json* said = reader.find("local_rope_theta");
  const double local = said && said->is_null() ? global : reader.positive("local_rope_theta", kLocalTheta, kMostTheta);
  c.ropes = {plain_rope(c, theta_of_kind(reader, "full_attention", global)),
             plain_rope(c, theta_of_kind(reader, "sliding_attention", local))};
  const auto every = reader.get<std::int64_t>("global_attn_every_n_layers", 3);
  if (every < 1) reader.refuse("global_attn_every_n_layers", "is below 1");
  const auto window = reader.get<std::int64_t>("local_attention", 128);
  if (window < 2) reader.refuse("local_attention", "is below 2: a token would see itself alone");
  const std::vector<std::string> kinds = read_layer_types(reader, c.layers);
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    const bool slides =
        kinds.empty() ? layer % every != 0 : kinds[static_cast<std::size_t>(layer)] == "sliding_attention";
    c.reach.push_back(slides ? window / 2 : 0);
    c.rope_of.push_back(slides ? 1 : 0);
  }
}

EncoderConfig read_modernbert(ConfigReader& reader) {
  EncoderConfig c = read_encoder(reader, {.vocabulary = 50368,
                                          .intermediate = 1152,
                                          .layers = 22,
                                          .epsilon = 1e-5,
                                          .epsilon_key = "norm_eps",
                                          .types = 0,
                                          .activation_key = "hidden_activation"});
  read_most_tokens(reader, c, "max_position_embeddings", 8192);
  require_pairs(reader, c);
  c.types = 0;
  c.norms = Norms::before;
  c.first_attention_norm = false;
  c.norm.bias = reader.get("norm_bias", false);
  c.qkv_bias = c.output_bias = reader.get("attention_bias", false);
  c.up_bias = c.down_bias = reader.get("mlp_bias", false);
  c.gated = true;
  read_modernbert_layers(reader, c);
  const std::string pooling = reader.get("classifier_pooling", std::string("cls"));
  if (pooling != "cls" && pooling != "mean")
    reader.refuse("classifier_pooling", "is '" + pooling + "', not cls or mean");
  c.head = {pooling == "mean", read_encoder_activation(reader, "classifier_activation", "gelu"),
            reader.get("classifier_bias", false), true};
  pass_by(reader,
          {"embedding_dropout", "mlp_dropout", "attention_dropout", "decoder_bias", "deterministic_flash_attn",
           "sparse_prediction", "sparse_pred_ignore_index", "reference_compile", "repad_logits_with_grad",
           "initializer_cutoff_factor", "layer_norm_eps", "cls_token_id", "sep_token_id", "gradient_checkpointing"});
  EncoderNames& n = c.names;
  name_layers(c, "layers.");
  n.words = "embeddings.tok_embeddings", n.input_norm = "embeddings.norm", n.final_norm = "final_norm";
  n.qkv = "attn.Wqkv", n.output = "attn.Wo", n.attention_in = "attn_norm";
  n.gate_up = "mlp.Wi", n.down = "mlp.Wo", n.mlp_in = "mlp_norm";
  n.head_dense = "head.dense", n.head_norm = "head.norm", n.head_out = "classifier";
  return c;
}

/// silu, gelu or sigmoid for the gates of "swiglu", "geglu", "glu".
void read_nomic_activation(ConfigReader& reader, EncoderConfig& c) {
  const std::string name = reader.get("activation_function", std::string("swiglu"));
  c.gated = name == "swiglu" || name == "geglu" || name == "glu";
  if (c.gated)
    c.activation = name == "swiglu" ? Activation::silu : name == "geglu" ? Activation::gelu : Activation::sigmoid;
  else
    c.activation = read_encoder_activation(reader, "activation_function", "gelu");
}

/// By the names of GPT-2's configuration, as its folders have them; or by BERT's, as transformers 5 saves it.
EncoderConfig read_nomic(ConfigReader& reader) {
  constexpr std::int64_t kMultiple = 256;
  const bool of_folders = reader.find("n_embd") != nullptr;
  if (of_folders)
    reader.rename({{"n_embd", "hidden_size"},
                   {"n_head", "num_attention_heads"},
                   {"n_layer", "num_hidden_layers"},
                   {"n_inner", "intermediate_size"},
                   {"layer_norm_epsilon", "layer_norm_eps"}});
  const Json* inner = reader.find("intermediate_size");
  if (of_folders && (!inner || inner->is_null()))
    reader.refuse("n_inner", "is missing: how wide the feed-forward block is");
  EncoderConfig c = read_encoder(reader, {.vocabulary = 30528, .epsilon = of_folders ? 1e-5 : 1e-12});
  require_pairs(reader, c);
  double theta = 1000;
  if (of_folders) {
    read_most_tokens(reader, c, "n_positions", 8192);
    read_nomic_activation(reader, c);
    theta = reader.positive("rotary_emb_base", 10000, kMostTheta);
    const auto round_up = [](std::int64_t size, std::int64_t to) { return (size + to - 1) / to * to; };
    if (c.gated) c.intermediate = round_up(c.intermediate, kMultiple);
    const auto multiple = reader.get<std::int64_t>("pad_vocab_size_multiple", 1);
    reader.require_sizes({{"pad_vocab_size_multiple", multiple}});
    c.vocabulary = round_up(c.vocabulary, multiple);
    reader.require("rotary_emb_fraction", 1.0, "is not 1: all of a head is rotated");
    if (!reader.find("rotary_emb_fraction"))
      reader.refuse("rotary_emb_fraction", "is missing, which asks for a table of positions: not implemented");
    c.qkv_bias = c.output_bias = reader.get("qkv_proj_bias", true);
    c.up_bias = reader.get("mlp_fc1_bias", true), c.down_bias = reader.get("mlp_fc2_bias", true);
    require_plain(reader, {{"prenorm", false},
                           {"parallel_block", false},
                           {"rotary_emb_interleaved", false},
                           {"rotary_emb_scale_base", Json()},
                           {"rotary_scaling_factor", Json()},
                           {"use_rms_norm", false},
                           {"causal", false},
                           {"norm_mlp", false},
                           {"num_experts", Json()},
                           {"scale_attn_weights", true},
                           {"reorder_and_upcast_attn", false},
                           {"scale_attn_by_inverse_layer_idx", false}});
    pass_by(reader,
            {"attn_pdrop", "embd_pdrop", "resid_pdrop", "dense_seq_output", "fused_bias_fc", "fused_dropout_add_ln",
             "last_layer_subset", "max_trained_positions", "use_flash_attn", "use_xentropy", "initializer_range",
             "n_ctx", "moe_every_n_layers", "summary_first_dropout", "summary_proj_to_labels"});
  } else {
    read_most_tokens(reader, c, "max_position_embeddings", 8192);
    c.gated = true;
    c.qkv_bias = c.output_bias = c.up_bias = c.down_bias = false;
    DecoderConfig of_rope;
    of_rope.head_dim = c.head_dim, of_rope.max_position = c.most_tokens;
    theta = read_rope(reader, of_rope, theta, c.head_dim).theta;
  }
  c.ropes = {plain_rope(c, theta)};
  c.rope_of.assign(static_cast<std::size_t>(c.layers), 0);
  EncoderNames& n = c.names;
  name_layers(c, "encoder.layers.");
  n.input_norm = "emb_ln";
  n.qkv = "attn.Wqkv", n.output = "attn.out_proj", n.attention_out = "norm1";
  n.gate = "mlp.fc12", n.up = c.gated ? "mlp.fc11" : "mlp.fc1", n.down = "mlp.fc2", n.mlp_out = "norm2";
  n.head_dense = "bert.pooler.dense", n.head_out = "classifier";
  return c;
}

/// {"type": "ntk", "factor": f}: theta times f, and all frequencies by f^(2 / width), in texts of any length.
Rope read_new_rope(ConfigReader& reader, const EncoderConfig& c) {
  Rope rope = plain_rope(c, reader.positive("rope_theta", 10000, kMostTheta));
  const Json* scaling = reader.find("rope_scaling");
  if (!scaling || scaling->is_null()) return rope;
  if (!scaling->is_object() || scaling->value("type", "") != "ntk")
    reader.refuse("rope_scaling", "is " + scaling->dump() + ", of which {\"type\": \"ntk\"} is implemented");
  for (const auto& [key, value] : scaling->items())
    if (key != "type" && key != "factor" && !value.is_null())
      reader.refuse("rope_scaling", "has the key '" + key + "', which is not read");
  const double factor = scaling->value("factor", 0.0);
  if (!(factor >= 1 && factor < 1e6)) reader.refuse("rope_scaling", "has a factor that is not 1 or above");
  if (factor == 1) return rope;
  rope.theta *= factor;
  rope.scaling = Rope::Scaling::linear;
  rope.factor = std::pow(factor, 2.0 / static_cast<double>(c.head_dim));
  return rope;
}

/// Alibaba's `new` model, of the GTE embedders.
EncoderConfig read_new(ConfigReader& reader) {
  EncoderConfig c = read_encoder(reader, {.vocabulary = 30528, .types = 1, .position_type = "rope"});
  read_most_tokens(reader, c, "max_position_embeddings", 2048);
  require_pairs(reader, c);
  c.gated = c.activates_second = true;
  c.up_bias = false;
  c.ropes = {read_new_rope(reader, c)};
  c.rope_of.assign(static_cast<std::size_t>(c.layers), 0);
  require_plain(reader, {{"layer_norm_type", "layer_norm"}, {"logn_attention_scale", false}});
  const bool packs = reader.get("pack_qkv", true);
  pass_by(reader, {"unpad_inputs", "use_memory_efficient_attention", "logn_attention_clip1"});
  EncoderNames& n = c.names;
  if (packs)
    n.qkv = "attention.qkv_proj";
  else
    n.q = "attention.q_proj", n.k = "attention.k_proj", n.v = "attention.v_proj";
  n.output = "attention.o_proj", n.attention_out = "attn_ln";
  n.gate_up = "mlp.up_gate_proj", n.down = "mlp.down_proj", n.mlp_out = "mlp_ln";
  n.head_dense = "new.pooler.dense", n.head_out = "classifier";
  return c;
}

/// A Gemma 3 whose tokens see both directions: a sliding layer's see half of the window on each side.
EncoderConfig read_embedding_gemma(ConfigReader& reader) {
  reader.require("use_bidirectional_attention", true, "is not true");
  const DecoderConfig d = read_gemma3(reader);
  check_decoder_sizes(d, reader);
  EncoderConfig c;
  c.vocabulary = d.vocabulary, c.hidden = d.hidden, c.intermediate = d.intermediate, c.layers = d.layers;
  c.heads = d.heads, c.kv_heads = d.kv_heads, c.head_dim = d.head_dim;
  c.positions = c.types = 0;
  c.most_tokens = d.max_position;
  c.embedding_scale = d.embedding_scale, c.rounds_embedding_scale = d.rounds_embedding_scale;
  c.norm = d.norm, c.norms = Norms::around, c.input_norm = false;
  c.activation = d.activation, c.gated = true;
  c.qkv_bias = d.qkv_bias, c.output_bias = d.output_bias, c.up_bias = c.down_bias = false;
  c.attention_scale = d.attention_scale, c.norms_queries_and_keys = true;
  c.ropes = d.ropes, c.rope_of = d.rope_of;
  if (d.attention_cap > 0) reader.refuse("attn_logit_softcapping", "is not null, which is not implemented here");
  for (const std::int64_t window : d.windows) {
    if (window == 1) reader.refuse("sliding_window", "is 1: a token would see itself alone");
    c.reach.push_back(window / 2);
  }
  const DecoderNames& names = d.names;
  EncoderNames& n = c.names;
  name_layers(c, "layers.");
  n.words = "embed_tokens", n.final_norm = "norm";
  n.q = names.q, n.k = names.k, n.v = names.v, n.q_norm = names.q_norm, n.k_norm = names.k_norm;
  n.output = names.output, n.attention_in = names.attention_in, n.attention_out = names.attention_out;
  n.gate = names.gate, n.up = names.up, n.down = names.down, n.mlp_in = names.mlp_in, n.mlp_out = names.mlp_out;
  return c;
}

}  // namespace

const std::vector<EncoderFamily>& rotary_encoder_families() {
  static const std::vector<EncoderFamily> rows = {
      {"ModernBertModel", read_modernbert, ""},
      {"ModernBertForSequenceClassification", read_modernbert, "model.", true},
      {"ModernBertForMaskedLM", read_modernbert, "model."},
      {"NomicBertModel", read_nomic, ""},
      {"NewModel", read_new, ""},
      {"NewForSequenceClassification", read_new, "new.", true},
      {"Gemma3TextModel", read_embedding_gemma, "", false, false, true},
  };
  return rows;
}

}  // namespace proctor
