// Decoders with RMSNorm and a gated feed-forward block, for the most part: Llama and those that differ from it in
// facts. Facts of each family: its configuration class and modeling file in transformers 4.57.1.
#include <algorithm>

#include "worker/checkpoint/decoder_reader.h"

namespace proctor {

DecoderConfig read_llama(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.eos = 2});
  read_attention_bias(reader, c, false);
  c.mlp_bias = reader.get("mlp_bias", false);
  return c;
}

namespace {

using Order = DecoderConfig::Order;

constexpr std::int64_t kMistralWindow = 4096;

void set_all(std::vector<std::int64_t>& windows, std::int64_t size) { std::ranges::fill(windows, size); }

/// Norms over a head, before the rotation.
void norm_heads(DecoderConfig& c, QueryKeyNorm::Over over = QueryKeyNorm::Over::head) {
  c.qk_norm = {over, false, c.heads, c.kv_heads, false, c.norm};
}

/// No rope where a layer has no window.
void rope_in_windows_only(DecoderConfig& c) {
  for (std::size_t layer = 0; layer < c.windows.size(); ++layer) c.rope_of[layer] = c.windows[layer] > 0 ? 0 : -1;
}

/// Norms on both sides, as Gemma calls them.
void norm_both_sides(DecoderConfig& c) {
  c.norms_after = true;
  c.names.attention_out = "post_attention_layernorm";
  c.names.mlp_in = "pre_feedforward_layernorm";
  c.names.mlp_out = "post_feedforward_layernorm";
}

/// Norms behind attention and feed-forward block alone, as Olmo 2 has them.
void norm_behind(DecoderConfig& c) {
  norm_both_sides(c);
  c.norms_before = false;
}

void fuse_gate_up(DecoderConfig& c) { c.names.gate_up = "mlp.gate_up_proj"; }

/// Where a mistral names layer_types, transformers makes it a ministral: windows in the sliding layers alone.
DecoderConfig read_mistral(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.intermediate = 14336, .kv_heads = 8, .max_position = 4096 * 32, .eos = 2});
  read_windows(reader, c, read_window(reader, kMistralWindow), 1);
  return c;
}

/// Queries grow with the position beyond the original length: 1 + beta * ln(1 + floor(position / original)).
/// Without rope_parameters in the file it is YaRN's, by 16.
DecoderConfig read_ministral3(ConfigReader& reader) {
  constexpr double kTheta = 1e6;
  DecoderConfig c = read_decoder(reader, {.vocabulary = 131072,
                                          .intermediate = 14336,
                                          .layers = 34,
                                          .kv_heads = 8,
                                          .head_dim = 128,
                                          .max_position = 262144,
                                          .epsilon = 1e-5,
                                          .theta = kTheta,
                                          .eos = 2});
  Rope& rope = c.ropes[0];
  if (!reader.find("rope_parameters") && !reader.find("rope_scaling")) {
    rope.scaling = Rope::Scaling::yarn;
    rope.factor = 16, rope.original_max_position = 16384, rope.query_beta = 0.1;
  }
  set_all(c.windows, read_window(reader, 0));
  c.query_beta = rope.query_beta;
  c.query_period = rope.original_max_position;
  reader.find("layer_types");
  return c;
}

/// A mistral, or a ministral3, beside a vision tower.
DecoderConfig read_mistral3(ConfigReader& reader) {
  return reader.get("model_type", std::string("mistral")) == "ministral3" ? read_ministral3(reader)
                                                                          : read_mistral(reader);
}

/// Qwen2 and Qwen3: a window per layer, from layer_types or from max_window_layers on.
void read_qwen_windows(ConfigReader& reader, DecoderConfig& c) {
  const bool use = reader.get("use_sliding_window", false);
  const std::int64_t size = read_window(reader, kMistralWindow);
  const auto first = reader.get<std::int64_t>("max_window_layers", 28);
  reader.require("use_mrope", false, "asks for multimodal rotary positions");
  const auto types = read_layer_types(reader, c.layers);
  for (std::size_t layer = 0; layer < c.windows.size(); ++layer) {
    const bool sliding =
        types.empty() ? static_cast<std::int64_t>(layer) >= first : types[layer] == "sliding_attention";
    c.windows[layer] = use && sliding ? size : 0;
  }
}

constexpr DecoderDefaults kQwen2 = {.vocabulary = 151936, .intermediate = 22016, .kv_heads = 32, .max_position = 32768};

DecoderConfig read_qwen2(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, kQwen2);
  c.qkv_bias = true;
  read_qwen_windows(reader, c);
  return c;
}

DecoderConfig read_qwen3(ConfigReader& reader) {
  DecoderDefaults defaults = kQwen2;
  defaults.head_dim = 128;
  DecoderConfig c = read_decoder(reader, defaults);
  read_attention_bias(reader, c, false);
  norm_heads(c);
  read_qwen_windows(reader, c);
  return c;
}

void scale_as_gemma(ConfigReader& reader, DecoderConfig& c) {
  c.norm.plus_one = c.rounds_embedding_scale = true;
  c.embedding_scale = std::sqrt(static_cast<double>(c.hidden));
  read_attention_bias(reader, c, false);
}

/// transformers reads hidden_act alone; where the file says both, and otherwise, nobody can tell what is meant.
DecoderConfig read_gemma(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.vocabulary = 256000,
                                          .hidden = 3072,
                                          .intermediate = 24576,
                                          .layers = 28,
                                          .heads = 16,
                                          .kv_heads = 16,
                                          .head_dim = 256,
                                          .max_position = 8192,
                                          .tied = true,
                                          .activation = "gelu_pytorch_tanh",
                                          .eos = 1});
  reader.find("hidden_activation");
  scale_as_gemma(reader, c);
  return c;
}

/// A soft cap, none where the key is null.
double read_cap(ConfigReader& reader, const char* key, double fallback) {
  const nlohmann::json* value = reader.find(key);
  if (value && value->is_null()) return 0;
  return value || fallback > 0 ? reader.positive(key, fallback, 1e9) : 0;
}

/// What Gemma 2 and 3 have in common. pattern: every so manieth layer attends all.
DecoderConfig read_gemma_with_windows(ConfigReader& reader, DecoderDefaults defaults, std::int64_t pattern, double cap,
                                      double logit_cap) {
  defaults.hidden = 2304, defaults.intermediate = 9216, defaults.layers = 26;
  defaults.heads = 8, defaults.kv_heads = 4, defaults.head_dim = 256;
  defaults.tied = true, defaults.eos = 1;
  defaults.activation_key = "hidden_activation", defaults.activation = "gelu_pytorch_tanh";
  DecoderConfig c = read_decoder(reader, defaults);
  for (const char* idle : {"hidden_act", "cache_implementation"}) reader.find(idle);
  scale_as_gemma(reader, c);
  norm_both_sides(c);
  c.attention_scale = 1 / std::sqrt(reader.positive("query_pre_attn_scalar", 256, 1e9));
  c.attention_cap = read_cap(reader, "attn_logit_softcapping", cap);
  c.logit_cap = read_cap(reader, "final_logit_softcapping", logit_cap);
  reader.require("use_bidirectional_attention", false, "asks for attention in both directions");
  read_windows(reader, c, read_window(reader, 4096), pattern);
  return c;
}

DecoderConfig read_gemma2(ConfigReader& reader) {
  constexpr double kCap = 50, kLogitCap = 30;
  return read_gemma_with_windows(reader, {.vocabulary = 256000, .max_position = 8192}, 2, kCap, kLogitCap);
}

/// Sliding layers have a rope of their own.
DecoderConfig read_gemma3(ConfigReader& reader) {
  constexpr double kLocalTheta = 10000;
  const auto pattern = reader.get<std::int64_t>("sliding_window_pattern", 6);
  reader.find("_sliding_window_pattern");
  DecoderConfig c =
      read_gemma_with_windows(reader, {.vocabulary = 262208, .max_position = 131072, .theta = 1e6}, pattern, 0, 0);
  norm_heads(c);
  Rope local;
  local.width = c.head_dim;
  local.theta = reader.positive("rope_local_base_freq", kLocalTheta, 1e12);
  c.ropes.push_back(local);
  for (std::size_t layer = 0; layer < c.windows.size(); ++layer) c.rope_of[layer] = c.windows[layer] > 0 ? 1 : 0;
  return c;
}

DecoderConfig read_olmo(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.vocabulary = 50304, .epsilon_key = nullptr, .eos = 50279});
  c.norm = {NormFacts::Kind::layer, 1e-5, false, false, false, false};
  read_attention_bias(reader, c, false);
  c.qkv_clip = read_clip(reader);
  return c;
}

DecoderConfig read_olmo2(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.vocabulary = 50304, .epsilon = 1e-5, .eos = 50279});
  c.norm.rounds_once = true;
  read_attention_bias(reader, c, false);
  norm_heads(c, QueryKeyNorm::Over::width);
  norm_behind(c);
  return c;
}

/// Sliding layers are not scaled.
DecoderConfig read_olmo3(ConfigReader& reader) {
  DecoderConfig c = read_olmo2(reader);
  read_windows(reader, c, read_window(reader, 4096), 4);
  Rope plain;
  plain.width = c.head_dim;
  plain.theta = c.ropes[0].theta;
  c.ropes.push_back(plain);
  for (std::size_t layer = 0; layer < c.windows.size(); ++layer) c.rope_of[layer] = c.windows[layer] > 0 ? 1 : 0;
  return c;
}

/// One norm, without bias, before both blocks.
DecoderConfig read_any_cohere(ConfigReader& reader) {
  constexpr double kLogitScale = 0.0625;
  DecoderConfig c = read_decoder(reader, {.vocabulary = 256000,
                                          .hidden = 8192,
                                          .intermediate = 22528,
                                          .layers = 40,
                                          .heads = 64,
                                          .max_position = 8192,
                                          .epsilon = 1e-5,
                                          .tied = true,
                                          .epsilon_key = "layer_norm_eps",
                                          .interleaved = true,
                                          .eos = 255001});
  c.norm.kind = NormFacts::Kind::layer;
  c.order = Order::parallel;
  read_attention_bias(reader, c, false);
  c.logit_scale = reader.positive("logit_scale", kLogitScale, 1e9);
  for (const auto& [key, value] :
       std::initializer_list<std::pair<const char*, nlohmann::json>>{{"position_embedding_type", "rope_gptj"},
                                                                     {"rotary_pct", 1.0},
                                                                     {"use_embedding_sharing", true},
                                                                     {"use_gated_activation", true},
                                                                     {"use_parallel_block", true},
                                                                     {"use_parallel_embedding", false}})
    reader.require(key, value, "is not what this family has");
  return c;
}

DecoderConfig read_cohere(ConfigReader& reader) {
  DecoderConfig c = read_any_cohere(reader);
  if (reader.get("use_qk_norm", false)) {
    norm_heads(c);
    c.qk_norm.weights_of_each_head = true;
  }
  return c;
}

DecoderConfig read_cohere2(ConfigReader& reader) {
  DecoderConfig c = read_any_cohere(reader);
  reader.require("use_qk_norm", false, "asks for norms of queries and keys, which this family has not");
  for (const char* idle :
       {"layer_switch", "order_of_interleaved_layers", "cache_implementation", "_sliding_window_pattern"})
    reader.find(idle);
  read_windows(reader, c, read_window(reader, 4096), reader.get<std::int64_t>("sliding_window_pattern", 4));
  rope_in_windows_only(c);
  return c;
}

/// Where the file does not speak of rope_scaling, it is Llama 3's.
DecoderConfig read_apertus(ConfigReader& reader) {
  constexpr double kTheta = 12e6;
  const bool says_scaling = reader.find("rope_scaling") || reader.find("rope_parameters");
  DecoderConfig c = read_decoder(reader, {.vocabulary = 131072,
                                          .intermediate = 14336,
                                          .max_position = 65536,
                                          .epsilon = 1e-5,
                                          .theta = kTheta,
                                          .activation = "xielu",
                                          .eos = 2});
  if (c.activation != Activation::xielu) reader.refuse("hidden_act", "is not xielu, which this family has");
  if (!says_scaling) {
    c.ropes[0].scaling = Rope::Scaling::llama3;
    c.ropes[0].factor = 8;
    c.ropes[0].original_max_position = 8192;
  }
  read_attention_bias(reader, c, false);
  reader.require("mlp_bias", false, "asks for biases that this family has not");
  norm_heads(c);
  c.gated = false;
  c.names.attention_in = "attention_layernorm";
  c.names.mlp_in = "feedforward_layernorm";
  return c;
}

/// Options of its first, own code; each as it is without it.
void require_plain_hunyuan(ConfigReader& reader) {
  for (const auto& [key, value] :
       std::initializer_list<std::pair<const char*, nlohmann::json>>{{"use_cla", false},
                                                                     {"use_rotary_pos_emb", true},
                                                                     {"norm_type", "rms"},
                                                                     {"mlp_bias", false},
                                                                     {"use_qk_norm", true},
                                                                     {"num_experts", 1}})
    reader.require(key, value, "is not what this family has");
  for (const char* idle : {"cla_share_factor",
                           "attention_head_dim",
                           "org_vocab_size",
                           "im_start_id",
                           "im_end_id",
                           "im_newline_id",
                           "eod_token_id",
                           "text_start_id",
                           "text_end_id",
                           "image_token_id",
                           "sep_token_id",
                           "moe_topk",
                           "num_shared_expert",
                           "use_mixed_mlp_moe",
                           "moe_intermediate_size",
                           "mask_init_id",
                           "position_embedding_xdrope",
                           "add_classification_head",
                           "class_num",
                           "pool_type",
                           "capacity_factor",
                           "moe_drop_tokens",
                           "moe_random_routing_dropped_token",
                           "group_limited_greedy",
                           "n_group",
                           "topk_group",
                           "routed_scaling_factor",
                           "norm_topk_prob"})
    reader.find(idle);
}

/// Norms of queries and keys behind the rotation.
DecoderConfig read_hunyuan(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.vocabulary = 290943, .epsilon = 1e-5, .eos = 2});
  read_attention_bias(reader, c, false);
  require_plain_hunyuan(reader);
  norm_heads(c);
  c.qk_norm.after_rope = true;
  c.names.q_norm = "self_attn.query_layernorm";
  c.names.k_norm = "self_attn.key_layernorm";
  return c;
}

/// rope_scaling named "su" or "yarn" is longrope, of early files.
DecoderConfig read_phi3(ConfigReader& reader) {
  constexpr std::int64_t kOriginal = 4096;
  reader.rename_rope_type({"su", "yarn"}, "longrope");
  DecoderConfig c = read_decoder(reader, {.vocabulary = 32064,
                                          .hidden = 3072,
                                          .intermediate = 8192,
                                          .max_position = 4096,
                                          .epsilon = 1e-5,
                                          .rotary_fraction = 1,
                                          .eos = 32000});
  const auto original = reader.get<std::int64_t>("original_max_position_embeddings", kOriginal);
  Rope& rope = c.ropes[0];
  if (rope.scaling == Rope::Scaling::longrope && rope.original_max_position != static_cast<double>(original))
    reader.refuse("original_max_position_embeddings", "must stand beside a longrope");
  for (const char* bias : {"attention_bias", "mlp_bias", "lm_head_bias"})
    reader.require(bias, false, "asks for biases that this family has not");
  for (const char* idle : {"full_attn_mod", "interpolate_factor"})
    reader.require(idle, 1, "is not what this family has");
  set_all(c.windows, read_window(reader, 0));
  c.names.qkv = "self_attn.qkv_proj";
  fuse_gate_up(c);
  return c;
}

/// no_rope_layers has 1 for a layer that has a rope.
DecoderConfig read_smollm3(ConfigReader& reader) {
  constexpr double kTheta = 2e6;
  DecoderConfig c = read_decoder(reader, {.vocabulary = 128256,
                                          .hidden = 2048,
                                          .layers = 36,
                                          .heads = 16,
                                          .kv_heads = 4,
                                          .max_position = 32768,
                                          .theta = kTheta,
                                          .tied = true,
                                          .eos = 128001});
  read_attention_bias(reader, c, false);
  c.mlp_bias = reader.get("mlp_bias", false);
  reader.find("max_window_layers");
  const auto interval = reader.get<std::int64_t>("no_rope_layer_interval", 4);
  const auto given = reader.get("no_rope_layers", std::vector<std::int64_t>{});
  if (!given.empty() && given.size() != c.rope_of.size()) reader.refuse("no_rope_layers", "has not one entry a layer");
  if (interval < 1) reader.refuse("no_rope_layer_interval", "is below 1");
  for (std::size_t layer = 0; layer < c.rope_of.size(); ++layer) {
    const bool has_rope = given.empty() ? (static_cast<std::int64_t>(layer) + 1) % interval != 0 : given[layer] != 0;
    c.rope_of[layer] = has_rope ? 0 : -1;
  }
  const bool use = reader.get("use_sliding_window", false);
  const std::int64_t window = read_window(reader, 0);
  const auto types = read_layer_types(reader, c.layers);
  for (std::size_t layer = 0; layer < c.windows.size(); ++layer) {
    const bool sliding = types.empty() ? use && c.rope_of[layer] < 0 : types[layer] == "sliding_attention";
    c.windows[layer] = sliding ? window : 0;
  }
  return c;
}

DecoderConfig read_granite(ConfigReader& reader) {
  DecoderConfig c = read_llama(reader);
  read_granite_scales(reader, c);
  return c;
}

DecoderConfig read_arcee(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.hidden = 2560,
                                          .intermediate = 18432,
                                          .max_position = 4096,
                                          .epsilon = 1e-5,
                                          .activation = "relu2",
                                          .eos = 128001});
  read_attention_bias(reader, c, false);
  c.mlp_bias = reader.get("mlp_bias", false);
  c.gated = false;
  return c;
}

/// sliding_window_pattern may be a text, as "LLLG": then layer_types says it again.
DecoderConfig read_exaone4(ConfigReader& reader) {
  DecoderConfig c =
      read_decoder(reader, {.vocabulary = 102400, .intermediate = 16384, .kv_heads = 32, .epsilon = 1e-5, .eos = 2});
  norm_behind(c);
  norm_heads(c);
  const nlohmann::json* pattern = reader.find("sliding_window_pattern");
  const std::int64_t every = pattern && pattern->is_number_integer() ? pattern->get<std::int64_t>() : 4;
  if (pattern && pattern->is_string() && !reader.find("layer_types"))
    reader.refuse("sliding_window_pattern", "is a text, and layer_types does not say which layers it means");
  const std::int64_t window = read_window(reader, 4096);
  read_windows(reader, c, window, every);
  if (window > 0) rope_in_windows_only(c);
  return c;
}

DecoderConfig read_ernie45(ConfigReader& reader) {
  constexpr double kTheta = 500000;
  DecoderConfig c = read_decoder(reader, {.vocabulary = 103424,
                                          .hidden = 1024,
                                          .intermediate = 3072,
                                          .layers = 18,
                                          .heads = 16,
                                          .kv_heads = 2,
                                          .head_dim = 128,
                                          .max_position = 131072,
                                          .epsilon = 1e-5,
                                          .theta = kTheta,
                                          .tied = true,
                                          .interleaved = true,
                                          .eos = 2});
  c.qkv_bias = c.output_bias = c.mlp_bias = reader.get("use_bias", false);
  return c;
}

DecoderConfig read_helium(ConfigReader& reader) {
  constexpr double kEpsilon = 1e-8, kTheta = 100000;
  DecoderConfig c = read_decoder(reader, {.vocabulary = 48000,
                                          .hidden = 2560,
                                          .intermediate = 7040,
                                          .layers = 24,
                                          .heads = 20,
                                          .kv_heads = 20,
                                          .head_dim = 128,
                                          .max_position = 4096,
                                          .epsilon = kEpsilon,
                                          .theta = kTheta,
                                          .interleaved = true,
                                          .eos = 2});
  c.norm.rounds_once = true;
  read_attention_bias(reader, c, false, false);
  c.mlp_bias = reader.get("mlp_bias", false);
  return c;
}

DecoderConfig read_seed_oss(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.vocabulary = 155136,
                                          .intermediate = 27648,
                                          .layers = 64,
                                          .heads = 80,
                                          .kv_heads = 8,
                                          .head_dim = 128,
                                          .max_position = 524288,
                                          .eos = 2});
  read_attention_bias(reader, c, true, false);
  c.output_bias = reader.get("attention_out_bias", false);
  c.mlp_bias = reader.get("mlp_bias", false);
  reader.find("residual_dropout");
  return c;
}

DecoderConfig read_glm(ConfigReader& reader) {
  constexpr double kEpsilon = 1.5625e-7;
  DecoderConfig c = read_decoder(reader, {.vocabulary = 151552,
                                          .intermediate = 13696,
                                          .layers = 40,
                                          .kv_heads = 2,
                                          .head_dim = 128,
                                          .max_position = 131072,
                                          .epsilon = kEpsilon,
                                          .rotary_fraction = 0.5,
                                          .interleaved = true});
  read_attention_bias(reader, c, true, false);
  fuse_gate_up(c);
  c.eos_ids = {151329, 151336, 151338};
  return c;
}

DecoderConfig read_glm4(ConfigReader& reader) {
  DecoderConfig c = read_glm(reader);
  c.norms_after = true;
  c.names.attention_out = "post_self_attn_layernorm";
  c.names.mlp_out = "post_mlp_layernorm";
  return c;
}

/// LayerNorm in an otherwise gated decoder.
DecoderConfig read_stablelm(ConfigReader& reader) {
  constexpr double kFraction = 0.25;
  DecoderConfig c = read_decoder(reader, {.vocabulary = 50304,
                                          .hidden = 2560,
                                          .intermediate = 6912,
                                          .kv_heads = 32,
                                          .max_position = 4096,
                                          .epsilon = 1e-5,
                                          .epsilon_key = "layer_norm_eps",
                                          .rotary_fraction = kFraction,
                                          .eos = 0});
  c.norm.kind = NormFacts::Kind::layer;
  if (reader.get("qk_layernorm", false)) {
    norm_heads(c);
    c.qk_norm.weights_of_each_head = c.layout.norm_of_each_head = true;
    c.names.q_norm = "self_attn.q_layernorm";
    c.names.k_norm = "self_attn.k_layernorm";
  }
  c.norm.bias = true;
  c.qkv_bias = reader.get("use_qkv_bias", false);
  if (reader.get("use_parallel_residual", false)) c.order = Order::parallel;
  if (c.head_dim * c.heads != c.hidden) reader.refuse("head_dim", "is not hidden_size / num_attention_heads");
  return c;
}

/// Of its own code: queries, keys and values of a key head lie together.
DecoderConfig read_internlm2(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.vocabulary = 103168, .eos = 2});
  c.qkv_bias = c.output_bias = reader.get("bias", true);
  c.layout.groups_qkv = true;
  DecoderNames& n = c.names;
  n.embedding = "model.tok_embeddings", n.head = "output";
  n.qkv = "attention.wqkv", n.output = "attention.wo";
  n.gate = "feed_forward.w1", n.up = "feed_forward.w3", n.down = "feed_forward.w2";
  n.attention_in = "attention_norm", n.mlp_in = "ffn_norm";
  return c;
}

}  // namespace

void read_granite_scales(ConfigReader& reader, DecoderConfig& c) {
  constexpr double kMost = 1e9;
  c.attention_scale = reader.positive("attention_multiplier", 1, kMost);
  c.embedding_scale = reader.positive("embedding_multiplier", 1, kMost);
  c.residual_scale = reader.positive("residual_multiplier", 1, kMost);
  c.logit_scale = 1 / reader.positive("logits_scaling", 1, kMost);
}

const std::vector<DecoderFamily>& llama_families() {
  static const std::vector<DecoderFamily> rows = {
      {"LlamaForCausalLM", "LlamaModel", read_llama},
      {"MistralForCausalLM", "MistralModel", read_mistral},
      {"MinistralForCausalLM", "MinistralModel", read_mistral},
      {"Ministral3ForCausalLM", "Ministral3Model", read_ministral3},
      {"Mistral3ForConditionalGeneration", nullptr, read_mistral3, true},
      {"Qwen2ForCausalLM", "Qwen2Model", read_qwen2},
      {"Qwen3ForCausalLM", "Qwen3Model", read_qwen3},
      {"GemmaForCausalLM", "GemmaModel", read_gemma},
      {"Gemma2ForCausalLM", "Gemma2Model", read_gemma2},
      {"Gemma3ForCausalLM", "Gemma3TextModel", read_gemma3},
      {"Gemma3ForConditionalGeneration", nullptr, read_gemma3, true},
      {"OlmoForCausalLM", "OlmoModel", read_olmo},
      {"Olmo2ForCausalLM", "Olmo2Model", read_olmo2},
      {"Olmo3ForCausalLM", "Olmo3Model", read_olmo3},
      {"CohereForCausalLM", "CohereModel", read_cohere},
      {"Cohere2ForCausalLM", "Cohere2Model", read_cohere2},
      {"ApertusForCausalLM", "ApertusModel", read_apertus},
      {"HunYuanDenseV1ForCausalLM", "HunYuanDenseV1Model", read_hunyuan},
      {"Phi3ForCausalLM", "Phi3Model", read_phi3},
      {"SmolLM3ForCausalLM", "SmolLM3Model", read_smollm3},
      {"GraniteForCausalLM", "GraniteModel", read_granite},
      {"ArceeForCausalLM", "ArceeModel", read_arcee},
      {"Exaone4ForCausalLM", "Exaone4Model", read_exaone4},
      {"Ernie4_5ForCausalLM", "Ernie4_5Model", read_ernie45},
      {"Ernie4_5_ForCausalLM", nullptr, read_ernie45},
      {"HeliumForCausalLM", "HeliumModel", read_helium},
      {"SeedOssForCausalLM", "SeedOssModel", read_seed_oss},
      {"GlmForCausalLM", "GlmModel", read_glm},
      {"Glm4ForCausalLM", "Glm4Model", read_glm4},
      {"StableLmForCausalLM", "StableLmModel", read_stablelm},
      {"InternLM2ForCausalLM", "InternLM2Model", read_internlm2},
  };
  return rows;
}

}  // namespace proctor
