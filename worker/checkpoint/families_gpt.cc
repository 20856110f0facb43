// Decoders with LayerNorm and a feed-forward block without gate: GPT-2 and those that came of it. Facts of each family:
// its configuration class and modeling file in transformers 4.57.1.
#include "worker/checkpoint/decoder_reader.h"

namespace proctor {
namespace {

using Order = DecoderConfig::Order;

/// No rope in any layer.
void without_rope(DecoderConfig& c) {
  c.ropes.clear();
  c.rope_of.assign(c.rope_of.size(), -1);
}

void with_biases(DecoderConfig& c, bool attention = true, bool feed_forward = true) {
  c.norm.kind = NormFacts::Kind::layer;
  c.norm.bias = true;
  c.qkv_bias = c.output_bias = attention;
  c.mlp_bias = feed_forward;
  c.gated = false;
}

/// Names that GPT-2 gave, under "transformer.".
void name_as_gpt2(DecoderConfig& c) {
  DecoderNames& n = c.names;
  n.embedding = "transformer.wte", n.positions = "transformer.wpe";
  n.final_norm = "transformer.ln_f", n.layer = "transformer.h.";
  n.qkv = "attn.c_attn", n.output = "attn.c_proj";
  n.attention_in = "ln_1", n.mlp_in = "ln_2", n.up = "mlp.c_fc", n.down = "mlp.c_proj";
}

constexpr DecoderDefaults kGpt2 = {.vocabulary = 50257,
                                   .hidden = 768,
                                   .intermediate = 0,
                                   .layers = 12,
                                   .heads = 12,
                                   .max_position = 1024,
                                   .epsilon = 1e-5,
                                   .tied = true,
                                   .epsilon_key = "layer_norm_epsilon",
                                   .activation_key = "activation_function",
                                   .activation = "gelu_new",
                                   .eos = 50256};

/// n_inner, else four times the width.
void read_inner(ConfigReader& reader, DecoderConfig& c) { c.intermediate = reader.get("n_inner", 4 * c.hidden); }

void read_any_gpt2(ConfigReader& reader, DecoderConfig& c) {
  with_biases(c);
  without_rope(c);
  read_inner(reader, c);
  name_as_gpt2(c);
  c.learned_positions = c.max_position;
  if (!reader.get("scale_attn_weights", true)) c.attention_scale = 1;
  pass_by(reader,
          {"summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj",
           "reorder_and_upcast_attn", "attention_softmax_in_fp32", "scale_attention_softmax_in_fp32"});
}

DecoderConfig read_gpt2(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, kGpt2);
  read_any_gpt2(reader, c);
  c.layout.transposed = true;
  c.scale_by_layer = reader.get("scale_attn_by_inverse_layer_idx", false);
  return c;
}

DecoderConfig read_gpt_big_code(ConfigReader& reader) {
  DecoderDefaults defaults = kGpt2;
  defaults.activation = "gelu_pytorch_tanh";
  DecoderConfig c = read_decoder(reader, defaults);
  read_any_gpt2(reader, c);
  if (reader.get("multi_query", true))
    c.kv_heads = 1;
  else
    c.layout.groups_qkv = true;
  pass_by(reader,
          {"inference_runner", "max_batch_size", "max_sequence_length", "pad_key_length", "pre_allocate_kv_cache",
           "validate_runner_input", "runner_max_sequence_length", "attn_type", "normalize_type"});
  return c;
}

/// A rope over rotary_dim dimensions, pair by pair.
DecoderConfig read_gpt_j(ConfigReader& reader) {
  DecoderDefaults defaults = kGpt2;
  defaults.vocabulary = 50400, defaults.hidden = 4096, defaults.layers = 28, defaults.heads = 16;
  defaults.max_position = 2048, defaults.tied = false, defaults.interleaved = true;
  DecoderConfig c = read_decoder(reader, defaults);
  reader.require("rope_scaling", nlohmann::json(), "is not read by this family");
  with_biases(c, false);
  read_inner(reader, c);
  c.ropes[0].width = reader.get<std::int64_t>("rotary_dim", 64);
  c.order = Order::parallel;
  c.head_bias = true;
  DecoderNames& n = c.names;
  name_as_gpt2(c);
  n.qkv = "", n.q = "attn.q_proj", n.k = "attn.k_proj", n.v = "attn.v_proj", n.output = "attn.out_proj";
  n.up = "mlp.fc_in", n.down = "mlp.fc_out";
  pass_by(reader, {"rotary", "scale_attn_weights", "summary_activation", "summary_first_dropout",
                   "summary_proj_to_labels", "summary_type", "summary_use_proj"});
  return c;
}

/// GPT-J with one tensor of all, in four parts of queries, values and keys.
DecoderConfig read_codegen(ConfigReader& reader) {
  constexpr std::int64_t kParts = 4;
  DecoderConfig c = read_gpt_j(reader);
  if (c.heads % kParts != 0) reader.refuse("n_head", "is no multiple of 4, into which its tensors are divided");
  c.names.qkv = "attn.qkv_proj";
  c.layout.qkv_parts = kParts;
  return c;
}

DecoderConfig read_gpt_neox(ConfigReader& reader) {
  constexpr double kFraction = 0.25;
  reader.ignore({"partial_rotary_factor", "rope_theta"});  // rotary_pct and rotary_emb_base win
  DecoderConfig c = read_decoder(reader, {.vocabulary = 50432,
                                          .hidden = 6144,
                                          .intermediate = 24576,
                                          .layers = 44,
                                          .heads = 64,
                                          .epsilon = 1e-5,
                                          .epsilon_key = "layer_norm_eps",
                                          .activation = "gelu",
                                          .eos = 2});
  with_biases(c, reader.get("attention_bias", true));
  const double fraction = reader.positive("rotary_pct", kFraction, 1.0 + 1e-9);
  c.ropes[0].theta = reader.positive("rotary_emb_base", 10000, 1e12);
  c.ropes[0].width = static_cast<std::int64_t>(static_cast<double>(c.head_dim) * fraction);
  if (reader.get("use_parallel_residual", true)) c.order = Order::parallel_two_norms;
  c.layout.groups_qkv = true;
  DecoderNames& n = c.names;
  n.embedding = "gpt_neox.embed_in", n.final_norm = "gpt_neox.final_layer_norm", n.head = "embed_out";
  n.layer = "gpt_neox.layers.", n.qkv = "attention.query_key_value", n.output = "attention.dense";
  n.up = "mlp.dense_h_to_4h", n.down = "mlp.dense_4h_to_h";
  pass_by(reader, {"classifier_dropout", "bias_dropout_fusion"});
  return c;
}

DecoderConfig read_phi(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.vocabulary = 51200,
                                          .hidden = 2048,
                                          .intermediate = 8192,
                                          .layers = 24,
                                          .epsilon = 1e-5,
                                          .epsilon_key = "layer_norm_eps",
                                          .activation = "gelu_new",
                                          .rotary_fraction = 0.5,
                                          .eos = 2});
  with_biases(c);
  if (reader.get("qk_layernorm", false)) {
    c.qk_norm = {QueryKeyNorm::Over::head, false, c.heads, c.kv_heads, false, c.norm};
    c.names.q_norm = "self_attn.q_layernorm", c.names.k_norm = "self_attn.k_layernorm";
  }
  c.order = Order::parallel;
  c.head_bias = true;
  DecoderNames& n = c.names;
  n.final_norm = "model.final_layernorm", n.output = "self_attn.dense", n.up = "mlp.fc1", n.down = "mlp.fc2";
  return c;
}

/// Where queries, keys and values of a falcon lie, and which norms it has.
void read_falcon_layout(ConfigReader& reader, DecoderConfig& c) {
  const bool of_groups = reader.get("new_decoder_architecture", false);
  const bool multi_query = reader.get("multi_query", true), parallel = reader.get("parallel_attn", true);
  const auto kv_heads = reader.get("num_kv_heads", c.heads);
  c.kv_heads = of_groups ? kv_heads : multi_query ? 1 : c.heads;
  c.layout.groups_qkv = of_groups || !multi_query;
  const auto norms = reader.get<std::int64_t>("num_ln_in_parallel_attn", of_groups ? 2 : 1);
  if (of_groups && !parallel) reader.refuse("parallel_attn", "is false, which the new decoder architecture has not");
  if (!of_groups && norms == 2) reader.refuse("num_ln_in_parallel_attn", "is 2, which the old architecture has not");
  if (!parallel) return;
  c.order = norms == 2 ? Order::parallel_two_norms : Order::parallel;
  if (norms == 2) c.names.attention_in = "ln_attn", c.names.mlp_in = "ln_mlp";
}

/// With ALiBi, biases are scaled as products are, and are rounded to bfloat16 on the way.
DecoderConfig read_falcon(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.vocabulary = 65024,
                                          .hidden = 4544,
                                          .intermediate = 0,
                                          .heads = 71,
                                          .epsilon = 1e-5,
                                          .tied = true,
                                          .epsilon_key = "layer_norm_epsilon",
                                          .activation_key = "activation",
                                          .activation = "gelu",
                                          .eos = 11});
  c.hidden = reader.get("n_embed", c.hidden);
  c.head_dim = c.hidden / c.heads;
  c.ropes[0].width = c.head_dim;
  const bool bias = reader.get("bias", false);
  with_biases(c, bias, bias);
  c.intermediate = reader.get("ffn_hidden_size", 4 * c.hidden);
  read_falcon_layout(reader, c);
  if (reader.get("alibi", false)) {
    without_rope(c);
    c.alibi_slopes = alibi_slopes(c.heads);
    c.alibi_rounds = true;
    c.alibi_scale = 1 / std::sqrt(static_cast<double>(c.head_dim));
  }
  reader.require("apply_residual_connection_post_layernorm", false, "is not what this family has");
  DecoderNames& n = c.names;
  n.embedding = "transformer.word_embeddings", n.final_norm = "transformer.ln_f", n.layer = "transformer.h.";
  n.qkv = "self_attention.query_key_value", n.output = "self_attention.dense";
  n.up = "mlp.dense_h_to_4h", n.down = "mlp.dense_4h_to_h";
  return c;
}

DecoderConfig read_bloom(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.vocabulary = 250880,
                                          .hidden = 64,
                                          .intermediate = 0,
                                          .layers = 2,
                                          .heads = 8,
                                          .epsilon = 1e-5,
                                          .tied = true,
                                          .epsilon_key = "layer_norm_epsilon",
                                          .activation = "gelu_pytorch_tanh",
                                          .eos = 2});
  c.hidden = reader.get("n_embed", c.hidden);
  c.head_dim = c.hidden / c.heads;
  c.intermediate = reader.get("n_inner", 4 * c.hidden);
  if (c.intermediate != 4 * c.hidden) reader.refuse("n_inner", "is not four times hidden_size, as this family has it");
  c.max_position = reader.get<std::int64_t>("seq_length", c.max_position);
  with_biases(c);
  without_rope(c);
  c.alibi_slopes = alibi_slopes(c.heads);
  c.embedding_norm = true;
  c.names_max_position = false;
  c.layout.groups_qkv = true;
  c.adds_to_norms = reader.get("apply_residual_connection_post_layernorm", false);
  if (reader.get("slow_but_exact", false) && reader.get<std::int64_t>("pretraining_tp", 1) > 1)
    reader.refuse("slow_but_exact", "is true beside a pretraining_tp above 1: it would leave out biases");
  pass_by(reader, {"masked_softmax_fusion", "attention_softmax_in_fp32", "bias_dropout_fusion", "offset_alibi",
                   "skip_bias_add", "skip_bias_add_qkv", "unk_token_id"});
  DecoderNames& n = c.names;
  n.embedding = "transformer.word_embeddings", n.embedding_norm = "transformer.word_embeddings_layernorm";
  n.final_norm = "transformer.ln_f", n.layer = "transformer.h.";
  n.qkv = "self_attention.query_key_value", n.output = "self_attention.dense";
  n.up = "mlp.dense_h_to_4h", n.down = "mlp.dense_4h_to_h";
  return c;
}

/// What transformers' model does not read; each as it computes.
void require_plain_mpt(ConfigReader& reader, const nlohmann::json& attention) {
  require_plain(reader, {{"expansion_ratio", 4}, {"no_bias", true}, {"logit_scale", nlohmann::json()}});
  pass_by(reader, {"learned_pos_emb", "norm_type", "embedding_fraction", "emb_pdrop", "init_config", "init_device",
                   "tokenizer_name", "verbose", "resid_pdrop"});
  for (const auto& [key, value] : attention.items()) {
    static const std::map<std::string, nlohmann::json> off = {{"alibi", true},
                                                              {"alibi_bias_max", 8},
                                                              {"qk_ln", false},
                                                              {"prefix_lm", false},
                                                              {"attn_uses_sequence_id", false},
                                                              {"attn_type", "multihead_attention"}};
    const auto known = off.find(key);
    if (known != off.end() && value != known->second)
      reader.refuse("attn_config", "has " + key + " " + value.dump() + ", which is not what this family has");
  }
}

DecoderConfig read_mpt(ConfigReader& reader) {
  const nlohmann::json* given = reader.find("attn_config");
  const nlohmann::json attention = given && given->is_object() ? *given : nlohmann::json::object();
  reader.rename({{"d_model", "hidden_size"},
                 {"n_heads", "num_attention_heads"},
                 {"n_layers", "num_hidden_layers"},
                 {"max_seq_len", "max_position_embeddings"}});
  DecoderConfig c = read_decoder(reader, {.vocabulary = 50368,
                                          .hidden = 2048,
                                          .intermediate = 0,
                                          .layers = 24,
                                          .heads = 16,
                                          .epsilon = 1e-5,
                                          .tied = true,
                                          .epsilon_key = "layer_norm_epsilon",
                                          .activation = "gelu"});
  require_plain_mpt(reader, attention);
  c.intermediate = 4 * c.hidden;
  c.names_max_position = false;
  with_biases(c, false, false);
  c.norm.bias = false;
  without_rope(c);
  c.alibi_slopes = alibi_slopes(c.heads);
  if (attention.contains("clip_qkv") && attention.at("clip_qkv").is_number())
    c.qkv_clip = attention.at("clip_qkv").get<double>();
  if (attention.contains("softmax_scale") && attention.at("softmax_scale").is_number())
    c.attention_scale = attention.at("softmax_scale").get<double>();
  DecoderNames& n = c.names;
  n.embedding = "transformer.wte", n.final_norm = "transformer.norm_f", n.layer = "transformer.blocks.";
  n.qkv = "attn.Wqkv", n.output = "attn.out_proj", n.up = "ffn.up_proj", n.down = "ffn.down_proj";
  n.attention_in = "norm_1", n.mlp_in = "norm_2";
  return c;
}

/// Positions are learned, and begin two rows into their table.
DecoderConfig read_opt(ConfigReader& reader) {
  constexpr std::int64_t kOffset = 2;
  reader.rename({{"ffn_dim", "intermediate_size"}});
  DecoderConfig c = read_decoder(reader, {.vocabulary = 50272,
                                          .hidden = 768,
                                          .intermediate = 3072,
                                          .layers = 12,
                                          .heads = 12,
                                          .tied = true,
                                          .epsilon_key = nullptr,
                                          .activation_key = "activation_function",
                                          .activation = "relu",
                                          .eos = 2});
  const bool bias = reader.get("enable_bias", true);
  with_biases(c, bias, bias);
  c.norm.epsilon = 1e-5;
  c.norm.weighted = c.norm.bias = reader.get("layer_norm_elementwise_affine", true);
  without_rope(c);
  c.learned_positions = c.max_position + kOffset;
  c.position_offset = kOffset;
  if (!reader.get("do_layer_norm_before", true)) c.order = Order::norm_sums, c.has_final_norm = false;
  if (reader.get("_remove_final_layer_norm", false)) c.has_final_norm = false;
  const auto width = reader.get("word_embed_proj_dim", c.hidden);
  if (width != c.hidden) c.embedding_width = width;
  c.names.project_in = "model.decoder.project_in", c.names.project_out = "model.decoder.project_out";
  pass_by(reader, {"layerdrop", "init_std", "dropout", "prefix"});
  DecoderNames& n = c.names;
  n.embedding = "model.decoder.embed_tokens", n.positions = "model.decoder.embed_positions";
  n.final_norm = "model.decoder.final_layer_norm", n.layer = "model.decoder.layers.";
  n.output = "self_attn.out_proj", n.up = "fc1", n.down = "fc2";
  n.attention_in = "self_attn_layer_norm", n.mlp_in = "final_layer_norm";
  return c;
}

DecoderConfig read_starcoder2(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.vocabulary = 49152,
                                          .hidden = 3072,
                                          .intermediate = 12288,
                                          .layers = 30,
                                          .heads = 24,
                                          .kv_heads = 2,
                                          .max_position = 4096,
                                          .epsilon = 1e-5,
                                          .tied = true,
                                          .epsilon_key = "norm_epsilon",
                                          .activation = "gelu_pytorch_tanh",
                                          .eos = 50256});
  const bool bias = reader.get("use_bias", true);
  with_biases(c, bias, bias);
  const std::int64_t window = read_window(reader, 0);
  set_windows(c, window);
  c.names.up = "mlp.c_fc", c.names.down = "mlp.c_proj";
  reader.require("mlp_type", "default", "is not what this family has");
  reader.require("norm_type", "layer_norm", "is not what this family has");
  pass_by(reader, {"attention_softmax_in_fp32", "scale_attention_softmax_in_fp32", "scale_attn_weights",
                   "residual_dropout", "embedding_dropout"});
  return c;
}

/// The checkpoint keeps the weights of norms less 1.
DecoderConfig read_nemotron(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.vocabulary = 256000,
                                          .hidden = 6144,
                                          .intermediate = 24576,
                                          .heads = 48,
                                          .max_position = 4096,
                                          .epsilon = 1e-5,
                                          .epsilon_key = "norm_eps",
                                          .activation = "relu2",
                                          .rotary_fraction = 0.5,
                                          .eos = 3});
  with_biases(c, reader.get("attention_bias", false), reader.get("mlp_bias", false));
  c.norm.plus_one = true;
  reader.require("rope_scaling", nlohmann::json(), "is not read by this family");
  return c;
}

}  // namespace

const std::vector<DecoderFamily>& gpt_families() {
  static const std::vector<DecoderFamily> rows = {
      {"GPT2LMHeadModel", "GPT2Model", read_gpt2},
      {"GPTBigCodeForCausalLM", "GPTBigCodeModel", read_gpt_big_code},
      {"GPTJForCausalLM", "GPTJModel", read_gpt_j},
      {"CodeGenForCausalLM", "CodeGenModel", read_codegen},
      {"GPTNeoXForCausalLM", "GPTNeoXModel", read_gpt_neox},
      {"PhiForCausalLM", "PhiModel", read_phi},
      {"FalconForCausalLM", "FalconModel", read_falcon},
      {"BloomForCausalLM", "BloomModel", read_bloom},
      {"MptForCausalLM", "MptModel", read_mpt},
      {"MPTForCausalLM", nullptr, read_mpt},
      {"OPTForCausalLM", "OPTModel", read_opt},
      {"Starcoder2ForCausalLM", "Starcoder2Model", read_starcoder2},
      {"NemotronForCausalLM", "NemotronModel", read_nemotron},
  };
  return rows;
}

}  // namespace proctor
