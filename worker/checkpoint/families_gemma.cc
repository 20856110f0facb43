// Decoders with a gate whose norms are elsewhere, or others, than a Llama's: on both sides of a block, behind it, one
// for both, LayerNorm. Facts of each family: its configuration class and modeling file in transformers 4.57.1.
#include <cmath>

#include "worker/checkpoint/decoder_reader.h"

namespace proctor {
namespace {

using Order = DecoderConfig::Order;

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
  pass_by(reader, {"hidden_act", "cache_implementation"});
  scale_as_gemma(reader, c);
  norm_both_sides(c);
  c.attention_scale = 1 / std::sqrt(reader.positive("query_pre_attn_scalar", 256, 1e9));
  c.attention_cap = read_cap(reader, "attn_logit_softcapping", cap);
  c.logit_cap = read_cap(reader, "final_logit_softcapping", logit_cap);
  c.both_directions = reader.get("use_bidirectional_attention", false);
  read_windows(reader, c, read_window(reader, 4096), pattern);
  return c;
}

DecoderConfig read_gemma2(ConfigReader& reader) {
  constexpr double kCap = 50, kLogitCap = 30;
  return read_gemma_with_windows(reader, {.vocabulary = 256000, .max_position = 8192}, 2, kCap, kLogitCap);
}

}  // namespace

/// Sliding layers have a rope of their own.
DecoderConfig read_gemma3(ConfigReader& reader) {
  constexpr double kLocalTheta = 10000;
  const auto pattern = reader.get<std::int64_t>("sliding_window_pattern", 6);
  reader.find("_sliding_window_pattern");
  DecoderConfig c = read_gemma_with_windows(
      reader, {.vocabulary = 262208, .max_position = 131072, .theta = 1e6, .rope_kind = "full_attention"}, pattern, 0,
      0);
  norm_queries_and_keys(c);
  Rope local;
  local.width = c.head_dim;
  local.theta = reader.positive("rope_local_base_freq", kLocalTheta, 1e12);
  if (has_rope_of_kinds(reader)) local = read_rope(reader, c, local.theta, c.head_dim, "sliding_attention");
  c.ropes.push_back(local);
  for (std::size_t layer = 0; layer < c.windows.size(); ++layer) c.rope_of[layer] = c.windows[layer] > 0 ? 1 : 0;
  return c;
}

namespace {

/// Beside a vision tower: there transformers caps no logits.
DecoderConfig read_gemma3_with_images(ConfigReader& reader) {
  DecoderConfig c = read_gemma3(reader);
  c.images_attend_themselves = true;
  c.logit_cap = 0;
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
  norm_queries_and_keys(c, QueryKeyNorm::Over::width);
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
  require_plain(reader, {{"position_embedding_type", "rope_gptj"},
                         {"rotary_pct", 1.0},
                         {"use_embedding_sharing", true},
                         {"use_gated_activation", true},
                         {"use_parallel_block", true},
                         {"use_parallel_embedding", false}});
  return c;
}

DecoderConfig read_cohere(ConfigReader& reader) {
  DecoderConfig c = read_any_cohere(reader);
  if (reader.get("use_qk_norm", false)) {
    norm_queries_and_keys(c);
    c.qk_norm.weights_of_each_head = true;
  }
  return c;
}

DecoderConfig read_cohere2(ConfigReader& reader) {
  DecoderConfig c = read_any_cohere(reader);
  reader.require("use_qk_norm", false, "asks for norms of queries and keys, which this family has not");
  pass_by(reader, {"layer_switch", "order_of_interleaved_layers", "cache_implementation", "_sliding_window_pattern"});
  read_windows(reader, c, read_window(reader, 4096), reader.get<std::int64_t>("sliding_window_pattern", 4));
  rope_in_windows_only(c);
  return c;
}

/// sliding_window_pattern may be a text, as "LLLG": then layer_types says it again.
DecoderConfig read_exaone4(ConfigReader& reader) {
  DecoderConfig c =
      read_decoder(reader, {.vocabulary = 102400, .intermediate = 16384, .kv_heads = 32, .epsilon = 1e-5, .eos = 2});
  norm_behind(c);
  norm_queries_and_keys(c);
  const nlohmann::json* pattern = reader.find("sliding_window_pattern");
  const std::int64_t every = pattern && pattern->is_number_integer() ? pattern->get<std::int64_t>() : 4;
  if (pattern && pattern->is_string() && !reader.find("layer_types"))
    reader.refuse("sliding_window_pattern", "is a text, and layer_types does not say which layers it means");
  const std::int64_t window = read_window(reader, 4096);
  read_windows(reader, c, window, every);
  if (window > 0) rope_in_windows_only(c);
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
    norm_queries_and_keys(c);
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

}  // namespace

const std::vector<DecoderFamily>& gemma_families() {
  static const std::vector<DecoderFamily> rows = {
      {"GemmaForCausalLM", "GemmaModel", read_gemma},
      {"Gemma2ForCausalLM", "Gemma2Model", read_gemma2},
      {"Gemma3ForCausalLM", "Gemma3TextModel", read_gemma3},
      {"Gemma3ForConditionalGeneration", nullptr, read_gemma3_with_images, DecoderFamily::Keys::of_text},
      {"OlmoForCausalLM", "OlmoModel", read_olmo},
      {"Olmo2ForCausalLM", "Olmo2Model", read_olmo2},
      {"Olmo3ForCausalLM", "Olmo3Model", read_olmo3},
      {"CohereForCausalLM", "CohereModel", read_cohere},
      {"Cohere2ForCausalLM", "Cohere2Model", read_cohere2},
      {"Exaone4ForCausalLM", "Exaone4Model", read_exaone4},
      {"GlmForCausalLM", "GlmModel", read_glm},
      {"Glm4ForCausalLM", "Glm4Model", read_glm4},
      {"StableLmForCausalLM", "StableLmModel", read_stablelm},
  };
  return rows;
}

}  // namespace proctor
