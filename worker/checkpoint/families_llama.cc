// Decoders with RMSNorm before each block: Llama and those that differ from it in other facts. Facts of each family:
// its configuration class and modeling file in transformers 4.57.1.
#include <algorithm>
#include <cmath>

#include "worker/checkpoint/decoder_reader.h"

namespace proctor {

DecoderConfig read_llama(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.eos = 2});
  read_attention_bias(reader, c, false);
  c.mlp_bias = reader.get("mlp_bias", false);
  return c;
}

void read_granite_scales(ConfigReader& reader, DecoderConfig& c) {
  constexpr double kMost = 1e9;
  c.attention_scale = reader.positive("attention_multiplier", 1, kMost);
  c.embedding_scale = reader.positive("embedding_multiplier", 1, kMost);
  c.residual_scale = reader.positive("residual_multiplier", 1, kMost);
  c.logit_scale = 1 / reader.positive("logits_scaling", 1, kMost);
}

namespace {

constexpr std::int64_t kMistralWindow = 4096;

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
  set_windows(c, read_window(reader, 0));
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
  norm_queries_and_keys(c);
  c.gated = false;
  c.names.attention_in = "attention_layernorm";
  c.names.mlp_in = "feedforward_layernorm";
  return c;
}

/// Options of its first, own code; each as it is without it.
void require_plain_hunyuan(ConfigReader& reader) {
  require_plain(reader, {{"use_cla", false},
                         {"use_rotary_pos_emb", true},
                         {"norm_type", "rms"},
                         {"mlp_bias", false},
                         {"use_qk_norm", true},
                         {"num_experts", 1}});
  pass_by(reader, {"cla_share_factor",
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
                   "norm_topk_prob"});
}

/// Norms of queries and keys behind the rotation.
DecoderConfig read_hunyuan(ConfigReader& reader) {
  DecoderConfig c = read_decoder(reader, {.vocabulary = 290943, .epsilon = 1e-5, .eos = 2});
  read_attention_bias(reader, c, false);
  require_plain_hunyuan(reader);
  norm_queries_and_keys(c);
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
  require_plain(reader, {{"full_attn_mod", 1}, {"interpolate_factor", 1}});
  set_windows(c, read_window(reader, 0));
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
  read_layers_without_rope(reader, c);
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

const std::vector<DecoderFamily>& llama_families() {
  static const std::vector<DecoderFamily> rows = {
      {"LlamaForCausalLM", "LlamaModel", read_llama},
      {"MistralForCausalLM", "MistralModel", read_mistral},
      {"MinistralForCausalLM", "MinistralModel", read_mistral},
      {"Ministral3ForCausalLM", "Ministral3Model", read_ministral3},
      {"Mistral3ForConditionalGeneration", nullptr, read_mistral3, DecoderFamily::Keys::of_text},
      {"ApertusForCausalLM", "ApertusModel", read_apertus},
      {"HunYuanDenseV1ForCausalLM", "HunYuanDenseV1Model", read_hunyuan},
      {"Phi3ForCausalLM", "Phi3Model", read_phi3},
      {"SmolLM3ForCausalLM", "SmolLM3Model", read_smollm3},
      {"GraniteForCausalLM", "GraniteModel", read_granite},
      {"ArceeForCausalLM", "ArceeModel", read_arcee},
      {"Ernie4_5ForCausalLM", "Ernie4_5Model", read_ernie45},
      {"Ernie4_5_ForCausalLM", nullptr, read_ernie45},
      {"HeliumForCausalLM", "HeliumModel", read_helium},
      {"SeedOssForCausalLM", "SeedOssModel", read_seed_oss},
      {"InternLM2ForCausalLM", "InternLM2Model", read_internlm2},
  };
  return rows;
}

}  // namespace proctor
