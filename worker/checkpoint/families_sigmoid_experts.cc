// Decoders with experts whose router gives sigmoids. Facts of each family: its configuration class and modeling file in
// transformers 4.57.1, or as said.
#include <algorithm>
#include <cmath>

#include "worker/checkpoint/decoder_reader.h"

namespace proctor {
namespace {

constexpr std::int64_t kWindow = 4096;

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
  if (reader.get("use_qk_norm", false)) norm_queries_and_keys(c);
  read_sigmoid_experts(reader, c, 1, true);
  reader.find("num_nextn_predict_layers");
  return c;
}

DecoderConfig read_dots1(ConfigReader& reader) {
  DecoderConfig c = read_decoder(
      reader, {.vocabulary = 152064, .hidden = 4608, .intermediate = 10944, .layers = 62, .heads = 32, .kv_heads = 32});
  read_attention_bias(reader, c, false);
  norm_queries_and_keys(c);
  const std::int64_t window = read_window(reader, kWindow);
  const auto first = reader.get<std::int64_t>("max_window_layers", 62);
  read_windows_from(reader, c, window, first);
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
  require_plain(reader, {{"score_func", "sigmoid"},
                         {"route_norm", true},
                         {"n_group", 1},
                         {"topk_group", 1},
                         {"num_expert_groups", 1},
                         {"num_limited_groups", 1}});
  pass_by(reader, {"use_grouped_mm", "load_balance_coeff"});
  norm_queries_and_keys(c);
  if (reader.get("mup_enabled", false)) c.embedding_scale = std::sqrt(static_cast<double>(c.hidden));
  read_windows(reader, c, read_window(reader, 1024), reader.get<std::int64_t>("global_attn_every_n_layers", 4));
  rope_in_windows_only(c);
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
  read_layers_without_rope(reader, c);
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
  pass_by(reader, {"for_llm_compression", "attn_scale", "floor_scale", "use_bidirectional_attention"});
  reader.find("router_jitter_noise");
  read_llama4_experts(reader, c);
  return c;
}

}  // namespace

const std::vector<DecoderFamily>& sigmoid_expert_families() {
  static const std::vector<DecoderFamily> rows = {
      {"Glm4MoeForCausalLM", "Glm4MoeModel", read_glm4_moe},
      {"Dots1ForCausalLM", "Dots1Model", read_dots1},
      {"AfmoeForCausalLM", "AfmoeModel", read_afmoe},
      {"Llama4ForCausalLM", "Llama4TextModel", read_llama4},
      {"Llama4ForConditionalGeneration", nullptr, read_llama4, DecoderFamily::Keys::of_text},
  };
  return rows;
}

}  // namespace proctor
