// Decoders whose feed-forward block is a choice among experts, by a softmax. Facts of each family: its configuration
// class and modeling file in transformers 4.57.1.
#include <algorithm>
#include <cmath>

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

DecoderConfig read_mixtral(ConfigReader& reader) {
  constexpr double kTheta = 1e6;
  DecoderConfig c = read_decoder(
      reader,
      {.intermediate = 14336, .kv_heads = 8, .max_position = 131072, .epsilon = 1e-5, .theta = kTheta, .eos = 2});
  set_windows(c, read_window(reader, 0));
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
  norm_queries_and_keys(c);
  const bool use = reader.get("use_sliding_window", false);
  const std::int64_t window = read_window(reader, kWindow);
  if (use) set_windows(c, window);
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
  if (use) set_windows(c, window);
  pass_by(reader, {"max_window_layers", "layer_types"});
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
  norm_queries_and_keys(c, QueryKeyNorm::Over::width);
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
  norm_queries_and_keys(c, QueryKeyNorm::Over::width);
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
  e.least_sum = reader.positive("moe_norm_min", 1e-12, 1e6);
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
  set_windows(c, read_window(reader, 0));
  c.experts.count = reader.get<std::int64_t>("num_local_experts", 16);
  c.experts.chosen = reader.get<std::int64_t>("num_experts_per_tok", 2);
  if (c.experts.chosen != 2) reader.refuse("num_experts_per_tok", "is not 2, as the sparse mixer has it");
  c.experts.width = c.intermediate;
  c.experts.jitter = reader.positive("router_jitter_noise", 0.01, 1);
  reader.find("input_jitter_noise");
  reader.find("original_max_position_embeddings");
  in_all_layers(c);
  name_as_mixtral(c);
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
  pass_by(reader, {"experts_per_token", "initial_context_length"});
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
      {"GptOssForCausalLM", "GptOssModel", read_gpt_oss},
  };
  return rows;
}

}  // namespace proctor
