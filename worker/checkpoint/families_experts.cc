// Decoders whose feed-forward block is a choice among experts. Facts of each family: its configuration class and
// modeling file in transformers 4.57.1.
#include <algorithm>

#include "worker/checkpoint/decoder_reader.h"

namespace proctor {
namespace {

constexpr std::int64_t kWindow = 4096;

void in_all_layers(DecoderConfig& c) { c.experts.in_layer.assign(static_cast<std::size_t>(c.layers), true); }

/// Mixtral's names: w1 is the gate, w3 beside it, w2 behind.
void name_as_mixtral(DecoderConfig& c) {
  DecoderNames& n = c.names;
  n.router = "block_sparse_moe.gate", n.experts = "block_sparse_moe.experts.";
  n.expert_gate = "w1", n.expert_up = "w3", n.expert_down = "w2";
}

void norm_heads(DecoderConfig& c, QueryKeyNorm::Over over = QueryKeyNorm::Over::head) {
  c.qk_norm = {over, false, c.heads, c.kv_heads, false, c.norm};
}

DecoderConfig read_mixtral(ConfigReader& reader) {
  constexpr double kTheta = 1e6;
  DecoderConfig c = read_decoder(
      reader,
      {.intermediate = 14336, .kv_heads = 8, .max_position = 131072, .epsilon = 1e-5, .theta = kTheta, .eos = 2});
  c.windows.assign(c.windows.size(), read_window(reader, 0));
  c.experts.count = reader.get<std::int64_t>("num_local_experts", 8);
  c.experts.chosen = reader.get<std::int64_t>("num_experts_per_tok", 2);
  c.experts.width = c.intermediate;
  c.experts.renormalises = true;
  reader.find("router_jitter_noise");
  in_all_layers(c);
  name_as_mixtral(c);
  return c;
}

/// Qwen's experts: num_experts, moe_intermediate_size, and which layers have them.
void read_qwen_experts(ConfigReader& reader, DecoderConfig& c, std::int64_t count, std::int64_t chosen,
                       std::int64_t width) {
  Experts& e = c.experts;
  e.count = reader.get("num_experts", count);
  e.chosen = reader.get("num_experts_per_tok", chosen);
  e.width = reader.get("moe_intermediate_size", width);
  e.renormalises = reader.get("norm_topk_prob", false);
  const auto step = reader.get<std::int64_t>("decoder_sparse_step", 1);
  const auto dense = reader.get("mlp_only_layers", std::vector<std::int64_t>{});
  if (step < 1) reader.refuse("decoder_sparse_step", "is below 1");
  for (std::int64_t layer = 0; layer < c.layers; ++layer)
    e.in_layer.push_back(std::ranges::find(dense, layer) == dense.end() && (layer + 1) % step == 0);
}

DecoderConfig read_qwen3_moe(ConfigReader& reader) {
  DecoderConfig c = read_decoder(
      reader,
      {.vocabulary = 151936, .hidden = 2048, .intermediate = 6144, .layers = 24, .kv_heads = 4, .max_position = 32768});
  read_attention_bias(reader, c, false);
  norm_heads(c);
  const bool use = reader.get("use_sliding_window", false);
  const std::int64_t window = read_window(reader, kWindow);
  if (use) c.windows.assign(c.windows.size(), window);
  reader.find("max_window_layers");
  read_qwen_experts(reader, c, 128, 8, 768);
  return c;
}

DecoderConfig read_qwen2_moe(ConfigReader& reader) {
  constexpr std::int64_t kShared = 5632;
  DecoderConfig c = read_decoder(reader, {.vocabulary = 151936,
                                          .hidden = 2048,
                                          .intermediate = 5632,
                                          .layers = 24,
                                          .heads = 16,
                                          .kv_heads = 16,
                                          .max_position = 32768});
  c.qkv_bias = reader.get("qkv_bias", true);
  const bool use = reader.get("use_sliding_window", false);
  const std::int64_t window = read_window(reader, kWindow);
  if (use && reader.get<std::int64_t>("max_window_layers", 28) != 0)
    reader.refuse("max_window_layers", "is not 0: transformers has two meanings of which layers have windows");
  if (use) c.windows.assign(c.windows.size(), window);
  for (const char* idle : {"max_window_layers", "layer_types"}) reader.find(idle);
  read_qwen_experts(reader, c, 60, 4, 1408);
  c.experts.shared = reader.get("shared_expert_intermediate_size", kShared);
  c.experts.gates_shared = true;
  c.names.shared = "mlp.shared_expert.";
  return c;
}

DecoderConfig read_olmoe(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.vocabulary = 50304,
                                          .hidden = 2048,
                                          .intermediate = 2048,
                                          .layers = 16,
                                          .heads = 16,
                                          .max_position = 4096,
                                          .epsilon = 1e-5,
                                          .eos = 50279});
  read_attention_bias(reader, c, false);
  c.qkv_clip = read_clip(reader);
  norm_heads(c, QueryKeyNorm::Over::width);
  c.experts.count = reader.get<std::int64_t>("num_experts", 64);
  c.experts.chosen = reader.get<std::int64_t>("num_experts_per_tok", 8);
  c.experts.width = c.intermediate;
  c.experts.renormalises = reader.get("norm_topk_prob", false);
  in_all_layers(c);
  return c;
}

/// FlexOlmo: Olmoe's experts in Olmo 2's layers.
DecoderConfig read_flex_olmo(ConfigReader& reader) {
  constexpr double kTheta = 500000;
  DecoderConfig c = read_decoder(reader, {.vocabulary = 100352,
                                          .intermediate = 11008,
                                          .max_position = 4096,
                                          .epsilon = 1e-6,
                                          .theta = kTheta,
                                          .eos = 100257});
  read_attention_bias(reader, c, false);
  c.norm.rounds_once = true;
  norm_heads(c, QueryKeyNorm::Over::width);
  c.norms_before = false, c.norms_after = true;
  c.names.attention_out = "post_attention_layernorm", c.names.mlp_out = "post_feedforward_layernorm";
  c.experts.count = reader.get<std::int64_t>("num_experts", 7);
  c.experts.chosen = reader.get<std::int64_t>("num_experts_per_tok", 5);
  c.experts.width = c.intermediate;
  c.experts.renormalises = reader.get("norm_topk_prob", false);
  in_all_layers(c);
  return c;
}

DecoderConfig read_granite_moe(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.eos = 2});
  read_attention_bias(reader, c, false);
  read_granite_scales(reader, c);
  reader.require("position_embedding_type", "rope", "asks for other positions than a rope's");
  c.experts.count = reader.get<std::int64_t>("num_local_experts", 8);
  c.experts.chosen = reader.get<std::int64_t>("num_experts_per_tok", 2);
  c.experts.width = c.intermediate;
  c.experts.score = Experts::Score::softmax_of_chosen;
  in_all_layers(c);
  DecoderNames& n = c.names;
  n.router = "block_sparse_moe.router.layer";
  n.experts_gate_up = "block_sparse_moe.input_linear.weight";
  n.experts_down = "block_sparse_moe.output_linear.weight";
  return c;
}

DecoderConfig read_ernie45_moe(ConfigReader& reader) {
  constexpr double kTheta = 500000;
  reader.rename({{"num_experts", "moe_num_experts"}, {"num_experts_per_tok", "moe_k"}});
  DecoderConfig c = read_decoder(reader, {.vocabulary = 103424,
                                          .hidden = 2560,
                                          .intermediate = 12288,
                                          .layers = 28,
                                          .heads = 20,
                                          .kv_heads = 4,
                                          .max_position = 131072,
                                          .epsilon = 1e-5,
                                          .theta = kTheta,
                                          .tied = true,
                                          .interleaved = true,
                                          .eos = 2});
  Experts& e = c.experts;
  c.qkv_bias = c.output_bias = c.mlp_bias = c.head_bias = e.biases = reader.get("use_bias", false);
  e.count = reader.get<std::int64_t>("moe_num_experts", 64);
  e.chosen = reader.get<std::int64_t>("moe_k", 6);
  e.width = reader.get<std::int64_t>("moe_intermediate_size", 1536);
  e.shared = e.width * reader.get<std::int64_t>("moe_num_shared_experts", 2);
  e.corrects = e.renormalises = true;
  reader.positive("moe_norm_min", 1e-12, 1);
  const auto first = reader.get<std::int64_t>("moe_layer_start_index", 1);
  auto last = reader.get<std::int64_t>("moe_layer_end_index", -1);
  if (last < 0) last = c.layers - 1;
  const auto interval = reader.get<std::int64_t>("moe_layer_interval", 1);
  if (interval < 1) reader.refuse("moe_layer_interval", "is below 1");
  for (std::int64_t layer = 0; layer < c.layers; ++layer)
    e.in_layer.push_back((layer + 1) % interval == 0 && layer >= first && layer <= last);
  c.names.correction = "mlp.moe_statics.e_score_correction_bias";
  c.layout.correction_has_row = true;
  return c;
}

/// Its router is a sparse mixer; its norms are LayerNorm.
DecoderConfig read_phimoe(ConfigReader& reader) {
  constexpr double kTheta = 1e6;
  DecoderConfig c = read_decoder(reader, {.vocabulary = 32064,
                                          .intermediate = 6400,
                                          .kv_heads = 8,
                                          .max_position = 131072,
                                          .epsilon = 1e-5,
                                          .theta = kTheta,
                                          .eos = 2});
  c.norm.kind = NormFacts::Kind::layer;
  c.norm.bias = true;
  read_attention_bias(reader, c, false);
  c.head_bias = reader.get("lm_head_bias", false);
  c.windows.assign(c.windows.size(), read_window(reader, 0));
  c.experts.count = reader.get<std::int64_t>("num_local_experts", 16);
  c.experts.chosen = reader.get<std::int64_t>("num_experts_per_tok", 2);
  if (c.experts.chosen != 2) reader.refuse("num_experts_per_tok", "is not 2, as the sparse mixer has it");
  c.experts.width = c.intermediate;
  c.experts.jitter = reader.positive("router_jitter_noise", 0.01, 1);
  reader.find("input_jitter_noise");
  for (const char* key : {"original_max_position_embeddings"}) reader.find(key);
  in_all_layers(c);
  name_as_mixtral(c);
  return c;
}

/// A router of sigmoids with a correction, groups, experts that all tokens share, dense layers first.
void read_sigmoid_experts(ConfigReader& reader, DecoderConfig& c, std::int64_t dense_layers, bool renormalises) {
  Experts& e = c.experts;
  e.score = Experts::Score::sigmoid;
  e.corrects = true;
  e.count = reader.get<std::int64_t>("n_routed_experts", 128);
  e.chosen = reader.get<std::int64_t>("num_experts_per_tok", 8);
  e.width = reader.get<std::int64_t>("moe_intermediate_size", 1408);
  e.shared = e.width * reader.get<std::int64_t>("n_shared_experts", 1);
  e.groups = reader.get<std::int64_t>("n_group", 1);
  e.chosen_groups = reader.get<std::int64_t>("topk_group", 1);
  e.scale = reader.positive("routed_scaling_factor", 1, 1e6);
  e.renormalises = reader.get("norm_topk_prob", renormalises);
  const auto dense = reader.get("first_k_dense_replace", dense_layers);
  for (std::int64_t layer = 0; layer < c.layers; ++layer) e.in_layer.push_back(layer >= dense);
  if (e.groups < 1 || e.count % e.groups != 0 || e.chosen_groups < 1 || e.chosen_groups > e.groups)
    reader.refuse("n_group", "does not divide the experts");
}

DecoderConfig read_glm4_moe(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.vocabulary = 151552,
                                          .intermediate = 10944,
                                          .layers = 46,
                                          .heads = 96,
                                          .kv_heads = 8,
                                          .max_position = 131072,
                                          .epsilon = 1e-5,
                                          .rotary_fraction = 0.5});
  read_attention_bias(reader, c, false, false);
  if (reader.get("use_qk_norm", false)) norm_heads(c);
  read_sigmoid_experts(reader, c, 1, true);
  reader.find("num_nextn_predict_layers");
  return c;
}

DecoderConfig read_dots1(ConfigReader& reader) {
  DecoderConfig c = read_decoder(
      reader, {.vocabulary = 152064, .hidden = 4608, .intermediate = 10944, .layers = 62, .heads = 32, .kv_heads = 32});
  read_attention_bias(reader, c, false);
  norm_heads(c);
  const std::int64_t window = read_window(reader, kWindow);
  const auto first = reader.get<std::int64_t>("max_window_layers", 62);
  const auto types = read_layer_types(reader, c.layers);
  for (std::size_t layer = 0; layer < c.windows.size(); ++layer) {
    const bool sliding =
        types.empty() ? static_cast<std::int64_t>(layer) >= first : types[layer] == "sliding_attention";
    c.windows[layer] = sliding ? window : 0;
  }
  read_sigmoid_experts(reader, c, 0, false);
  return c;
}

/// Facts from transformers 5.24.0. Attention's output is gated; layers that attend all have no rope. Keys of its own,
/// first code are refused where they mean something else.
DecoderConfig read_afmoe(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.vocabulary = 200192,
                                          .hidden = 2048,
                                          .intermediate = 6144,
                                          .heads = 16,
                                          .head_dim = 128,
                                          .max_position = 16384,
                                          .epsilon = 1e-5});
  c.norm.rounds_once = true;
  reader.require("attention_bias", false, "asks for biases that this family has not");
  for (const auto& [key, value] :
       std::initializer_list<std::pair<const char*, nlohmann::json>>{{"score_func", "sigmoid"},
                                                                     {"route_norm", true},
                                                                     {"n_group", 1},
                                                                     {"topk_group", 1},
                                                                     {"num_expert_groups", 1},
                                                                     {"num_limited_groups", 1}})
    reader.require(key, value, "is not what this family has");
  for (const char* idle : {"use_grouped_mm", "load_balance_coeff"}) reader.find(idle);
  norm_heads(c);
  if (reader.get("mup_enabled", false)) c.embedding_scale = std::sqrt(static_cast<double>(c.hidden));
  read_windows(reader, c, read_window(reader, 1024), reader.get<std::int64_t>("global_attn_every_n_layers", 4));
  for (std::size_t layer = 0; layer < c.windows.size(); ++layer) c.rope_of[layer] = c.windows[layer] > 0 ? 0 : -1;
  c.gates_attention = c.norms_after = true;
  Experts& e = c.experts;
  e.score = Experts::Score::sigmoid;
  e.corrects = e.renormalises = true;
  e.count = reader.get<std::int64_t>("num_experts", 64);
  e.chosen = reader.get<std::int64_t>("num_experts_per_tok", 6);
  e.width = reader.get<std::int64_t>("moe_intermediate_size", 1408);
  e.shared = e.width * reader.get<std::int64_t>("num_shared_experts", 2);
  e.scale = reader.positive("route_scale", 1, 1e6);
  const auto dense = reader.get<std::int64_t>("num_dense_layers", 1);
  for (std::int64_t layer = 0; layer < c.layers; ++layer) e.in_layer.push_back(layer >= dense);
  DecoderNames& n = c.names;
  n.attention_out = "post_attention_layernorm", n.mlp_in = "pre_mlp_layernorm", n.mlp_out = "post_mlp_layernorm";
  n.router = "mlp.router.gate", n.correction = "mlp.expert_bias";
  return c;
}

/// Without rope_scaling in the file it is YaRN's, by 32.
DecoderConfig read_gpt_oss(ConfigReader& reader) {
  constexpr double kTheta = 150000;
  const bool says_scaling = reader.find("rope_scaling") || reader.find("rope_parameters");
  DecoderConfig c = read_decoder(reader, {.vocabulary = 201088,
                                          .hidden = 2880,
                                          .intermediate = 2880,
                                          .layers = 36,
                                          .heads = 64,
                                          .kv_heads = 8,
                                          .head_dim = 64,
                                          .max_position = 131072,
                                          .epsilon = 1e-5,
                                          .theta = kTheta});
  if (!says_scaling) {
    Rope& rope = c.ropes[0];
    rope.scaling = Rope::Scaling::yarn;
    rope.factor = 32, rope.truncates = false, rope.original_max_position = 4096;
    rope.attention_factor = 0.1 * std::log(rope.factor) + 1;
  }
  c.norm.rounds_once = true;
  read_attention_bias(reader, c, true);
  read_windows(reader, c, read_window(reader, 128), 2);
  c.sinks = true;
  c.activation = Activation::swiglu_oai;
  reader.require("swiglu_limit", 7.0, "is not 7, which this family has");
  for (const char* idle : {"experts_per_token", "initial_context_length"}) reader.find(idle);
  Experts& e = c.experts;
  e.count = reader.get<std::int64_t>("num_local_experts", 128);
  e.chosen = reader.get<std::int64_t>("num_experts_per_tok", 4);
  e.width = c.intermediate;
  e.score = Experts::Score::softmax_of_chosen;
  e.router_bias = e.biases = true;
  in_all_layers(c);
  DecoderNames& n = c.names;
  n.sinks = "self_attn.sinks", n.router = "mlp.router";
  n.experts_gate_up = "mlp.experts.gate_up_proj", n.experts_down = "mlp.experts.down_proj";
  c.layout.experts_transposed = c.layout.experts_alternate = true;
  return c;
}

/// Which layers have experts: moe_layers, else every step-th.
void read_llama4_experts(ConfigReader& reader, DecoderConfig& c) {
  Experts& e = c.experts;
  e.count = reader.get<std::int64_t>("num_local_experts", 16);
  e.chosen = reader.get<std::int64_t>("num_experts_per_tok", 1);
  e.width = e.shared = c.intermediate;
  e.score = Experts::Score::sigmoid;
  e.scales_input = true;
  const auto step = reader.get<std::int64_t>("interleave_moe_layer_step", 1);
  const nlohmann::json* given = reader.find("moe_layers");
  const auto layers = reader.get("moe_layers", std::vector<std::int64_t>{});
  if (step < 1) reader.refuse("interleave_moe_layer_step", "is below 1");
  for (std::int64_t layer = 0; layer < c.layers; ++layer)
    e.in_layer.push_back(given && !given->is_null() ? std::ranges::find(layers, layer) != layers.end()
                                                    : (layer + 1) % step == 0);
  c.intermediate = reader.get<std::int64_t>("intermediate_size_mlp", 16384);
  DecoderNames& n = c.names;
  n.router = "feed_forward.router", n.shared = "feed_forward.shared_expert.";
  n.experts_gate_up = "feed_forward.experts.gate_up_proj", n.experts_down = "feed_forward.experts.down_proj";
  n.gate = "feed_forward.gate_proj", n.up = "feed_forward.up_proj", n.down = "feed_forward.down_proj";
  c.layout.experts_transposed = true;
}

/// Layers with a rope attend within chunks; rope_scaling is Llama 3's, whatever its type says.
DecoderConfig read_llama4(ConfigReader& reader) {
  constexpr double kTheta = 500000;
  DecoderConfig c = read_decoder(reader, {.vocabulary = 202048,
                                          .hidden = 5120,
                                          .intermediate = 8192,
                                          .layers = 48,
                                          .heads = 40,
                                          .kv_heads = 8,
                                          .head_dim = 128,
                                          .max_position = 131072,
                                          .epsilon = 1e-5,
                                          .theta = kTheta,
                                          .interleaved = true,
                                          .eos = 2});
  reader.require("attention_bias", false, "asks for biases that this family has not");
  const auto chunk = reader.get<std::int64_t>("attention_chunk_size", 8192);
  if (chunk < 1) reader.refuse("attention_chunk_size", "is below 1");
  c.chunks = true;
  const auto interval = reader.get<std::int64_t>("no_rope_layer_interval", 4);
  const auto given = reader.get("no_rope_layers", std::vector<std::int64_t>{});
  if (!given.empty() && given.size() != c.rope_of.size()) reader.refuse("no_rope_layers", "has not one entry a layer");
  for (std::size_t layer = 0; layer < c.rope_of.size(); ++layer) {
    const bool has_rope = given.empty() ? (static_cast<std::int64_t>(layer) + 1) % interval != 0 : given[layer] != 0;
    c.rope_of[layer] = has_rope ? 0 : -1;
  }
  const auto types = read_layer_types(reader, c.layers, {"full_attention", "chunked_attention"});
  for (std::size_t layer = 0; layer < c.windows.size(); ++layer)
    if (types.empty() ? c.rope_of[layer] >= 0 : types[layer] == "chunked_attention") c.windows[layer] = chunk;
  if (reader.get("use_qk_norm", true)) {
    c.qk_norm = {QueryKeyNorm::Over::head, false, c.heads, c.kv_heads, true, c.norm, true};
    c.qk_norm.facts.weighted = false, c.qk_norm.facts.rounds_once = true;
  }
  if (reader.get("attn_temperature_tuning", true)) {
    c.query_beta = reader.positive("attn_scale", 0.1, 1e6);
    c.query_period = reader.positive("floor_scale", 8192, 1e9);
    c.query_from_one = c.query_without_rope = true;
  }
  for (const char* idle : {"for_llm_compression", "attn_scale", "floor_scale", "use_bidirectional_attention"})
    reader.find(idle);
  reader.find("router_jitter_noise");
  read_llama4_experts(reader, c);
  return c;
}

}  // namespace

const std::vector<DecoderFamily>& expert_families() {
  static const std::vector<DecoderFamily> rows = {
      {"MixtralForCausalLM", "MixtralModel", read_mixtral},
      {"Qwen2MoeForCausalLM", "Qwen2MoeModel", read_qwen2_moe},
      {"Qwen3MoeForCausalLM", "Qwen3MoeModel", read_qwen3_moe},
      {"OlmoeForCausalLM", "OlmoeModel", read_olmoe},
      {"FlexOlmoForCausalLM", "FlexOlmoModel", read_flex_olmo},
      {"GraniteMoeForCausalLM", "GraniteMoeModel", read_granite_moe},
      {"Ernie4_5_MoeForCausalLM", "Ernie4_5_MoeModel", read_ernie45_moe},
      {"PhimoeForCausalLM", "PhimoeModel", read_phimoe},
      {"PhiMoEForCausalLM", nullptr, read_phimoe},
      {"Glm4MoeForCausalLM", "Glm4MoeModel", read_glm4_moe},
      {"Dots1ForCausalLM", "Dots1Model", read_dots1},
      {"AfmoeForCausalLM", "AfmoeModel", read_afmoe},
      {"GptOssForCausalLM", "GptOssModel", read_gpt_oss},
      {"Llama4ForCausalLM", "Llama4TextModel", read_llama4},
      {"Llama4ForConditionalGeneration", nullptr, read_llama4, true},
  };
  return rows;
}

}  // namespace proctor
