// Towers of image-text models: the vision_config of each family, and what its projector does. Facts of each: its
// configuration class and modeling file in transformers 4.57.1; where those are not the model (LLaVA-OneVision's states
// are taken before the last norm, Idefics 3's positions count on), as other versions have it.
#include <map>

#include "worker/checkpoint/decoder_reader.h"
#include "worker/checkpoint/families.h"
#include "worker/checkpoint/vision_reader.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

VisionConfig read_clip_tower(ConfigReader& reader) {
  constexpr double kEpsilon = 1e-5;
  VisionConfig c =
      read_tiles(reader, {.hidden = 768, .layers = 12, .heads = 12, .epsilon = kEpsilon, .activation = "quick_gelu"});
  c.has_class_token = true;
  ++c.positions;
  name_tower(c, "vision_tower.vision_model.");
  c.names.class_token = "vision_tower.vision_model.embeddings.class_embedding";
  c.names.input_norm = "vision_tower.vision_model.pre_layrnorm";  // spelled so
  return c;
}

VisionConfig read_siglip_tower(ConfigReader& reader) {
  VisionConfig c = read_tiles(reader, {.hidden = 768, .heads = 12, .patch = 16});
  c.patch_bias = true;
  name_tower(c, "vision_tower.vision_model.");
  return c;
}

VisionConfig read_clip_or_siglip(ConfigReader& reader, const char* fallback) {
  const std::string type = reader.get("model_type", std::string(fallback));
  if (type == "clip_vision_model") return read_clip_tower(reader);
  if (type != "siglip_vision_model")
    reader.refuse("model_type", "is '" + type + "' (clip_vision_model and siglip_vision_model are implemented)");
  return read_siglip_tower(reader);
}

/// Which layers' states go on: a number or a list, from the end where below 0.
void read_taken(ConfigReader& top, VisionConfig& c, std::int64_t fallback) {
  const Json* said = top.find("vision_feature_layer");
  std::vector<Json> layers = {fallback};
  if (said && !said->is_null()) layers = said->is_array() ? said->get<std::vector<Json>>() : std::vector<Json>{*said};
  c.taken.clear();
  for (const Json& layer : layers) {
    const std::int64_t at = layer.is_number_integer() ? layer.get<std::int64_t>() : c.layers + 1;
    if (at > c.layers || at < -c.layers - 1)
      top.refuse("vision_feature_layer", "is " + said->dump() + "; the tower has " + std::to_string(c.layers));
    c.taken.push_back(at < 0 ? at + c.layers + 1 : at);
  }
  if (c.taken.empty()) top.refuse("vision_feature_layer", "is an empty list");
}

/// LLaVA's projector: two products. Which of a tile's rows go on: vision_feature_select_strategy.
void read_llava_projector(ConfigReader& top, VisionConfig& c, const char* strategy) {
  const std::string selected = top.get("vision_feature_select_strategy", std::string(strategy));
  if (selected != "default" && selected != "full")
    top.refuse("vision_feature_select_strategy", "is '" + selected + "' (default and full are implemented)");
  if (selected == "default" && !c.has_class_token)
    top.refuse("vision_feature_select_strategy", "is default, which drops a class token that this tower lacks");
  c.keeps_class_token = c.has_class_token && selected == "full";
  c.projector_activation = read_decoder_activation(top, "projector_hidden_act", "gelu");
  c.projector_bias = top.get("multimodal_projector_bias", true);
  c.projector_hidden = c.text_hidden;
  c.names.first = "multi_modal_projector.linear_1", c.names.second = "multi_modal_projector.linear_2";
}

VisionConfig read_llava_tower(ConfigReader& top, ConfigReader& tower, std::int64_t text_hidden) {
  VisionConfig c = read_clip_or_siglip(tower, "clip_vision_model");
  c.text_hidden = text_hidden;
  read_taken(top, c, -2);
  read_llava_projector(top, c, "default");
  return c;
}

VisionConfig read_llava_next_tower(ConfigReader& top, ConfigReader& tower, std::int64_t text_hidden) {
  VisionConfig c = read_llava_tower(top, tower, text_hidden);
  if (c.keeps_class_token)
    top.refuse("vision_feature_select_strategy", "is full: a class token has no place among the rows of tiles");
  c.names.newline = "image_newline";
  return c;
}

VisionConfig read_onevision_tower(ConfigReader& top, ConfigReader& tower, std::int64_t text_hidden) {
  VisionConfig c = read_clip_or_siglip(tower, "siglip_vision_model");
  c.text_hidden = text_hidden;
  read_taken(top, c, -1);
  read_llava_projector(top, c, "full");
  c.names.newline = "image_newline";
  return c;
}

VisionConfig read_idefics_tower(ConfigReader& top, ConfigReader& tower, std::int64_t text_hidden) {
  VisionConfig c = read_tiles(tower, {});
  pass_by(tower, {"tie_word_embeddings", "size", "use_base_siglip"});
  c.patch_bias = true;
  name_tower(c, "model.vision_model.");
  c.names.final_norm = "model.vision_model.post_layernorm";
  c.text_hidden = text_hidden;
  c.merge = top.get<std::int64_t>("scale_factor", 2);
  if (c.merge < 1 || c.grid % c.merge != 0)
    top.refuse("scale_factor", "does not divide the " + std::to_string(c.grid) + " patches of a side");
  c.projector_bias = false;
  c.names.second = "model.connector.modality_projection.proj";
  return c;
}

VisionConfig read_gemma_tower(ConfigReader& top, ConfigReader& tower, std::int64_t text_hidden) {
  constexpr std::int64_t kTokens = 256;
  VisionConfig c = read_siglip_tower(tower);
  c.names.final_norm = "vision_tower.vision_model.post_layernorm";
  c.text_hidden = text_hidden;
  std::int64_t side = 1;
  for (const auto tokens = top.get("mm_tokens_per_image", kTokens); side * side < tokens;) ++side;
  if (c.grid % side != 0 || side * side != top.get("mm_tokens_per_image", kTokens))
    top.refuse("mm_tokens_per_image", "is no square that the " + std::to_string(c.grid) + " patches of a side have");
  c.merge = c.grid / side;
  c.averages = true;
  c.projector_norm = {NormFacts::Kind::rms, c.norm.epsilon, true};
  c.projector_bias = false;
  c.names.projector_norm = "multi_modal_projector.mm_soft_emb_norm";
  c.names.matrix = "multi_modal_projector.mm_input_projection_weight";
  return c;
}

void name_internvl(VisionNames& n) {
  n.patch = "vision_tower.embeddings.patch_embeddings.projection";
  n.class_token = "vision_tower.embeddings.cls_token";
  n.positions = "vision_tower.embeddings.position_embeddings";
  n.leading_ones = true;
  n.layer = "vision_tower.encoder.layer.";
  n.q = "attention.q_proj", n.k = "attention.k_proj", n.v = "attention.v_proj", n.output = "attention.projection_layer";
  n.q_norm = "attention.q_norm", n.k_norm = "attention.k_norm";
  n.attention_in = "layernorm_before", n.mlp_in = "layernorm_after";
  n.attention_scale = "lambda_1", n.mlp_scale = "lambda_2";
  n.projector_norm = "multi_modal_projector.layer_norm";
  n.first = "multi_modal_projector.linear_1", n.second = "multi_modal_projector.linear_2";
}

VisionConfig read_internvl_tower(ConfigReader& top, ConfigReader& tower, std::int64_t text_hidden) {
  constexpr double kShrinks = 0.5;
  VisionConfig c = read_tiles(
      tower, {.hidden = 1024, .intermediate = 4096, .layers = 24, .image = 448, .patch = 14, .activation = "gelu"});
  pass_by(tower, {"layer_scale_init_value", "projection_dropout", "architectures", "drop_path_rate"});
  require_plain(tower, {{"use_mask_token", false}, {"use_absolute_position_embeddings", true}});
  const std::string norm = tower.get("norm_type", std::string("layer_norm"));
  if (norm != "layer_norm" && norm != "rms_norm") tower.refuse("norm_type", "is '" + norm + "'");
  if (norm == "rms_norm") c.norm.kind = NormFacts::Kind::rms, c.norm.bias = false;
  c.patch_bias = c.has_class_token = c.scales_blocks = true;
  ++c.positions;
  c.qkv_bias = tower.get("attention_bias", false);
  c.norms_queries_and_keys = tower.get("use_qk_norm", false);
  name_internvl(c.names);
  c.names.final_norm = tower.get("use_mean_pooling", true) ? "" : "vision_tower.layernorm";
  c.text_hidden = c.projector_hidden = text_hidden;
  read_taken(top, c, -1);
  if (c.taken.size() > 1) top.refuse("vision_feature_layer", "is a list, which this family does not have");
  if (c.taken[0] == c.layers) c.taken[0] = -1;  // behind the last norm, where there is one
  if (top.get("vision_feature_select_strategy", std::string("default")) != "default")
    top.refuse("vision_feature_select_strategy", "is not default");
  c.merge = static_cast<std::int64_t>(1 / top.positive("downsample_ratio", kShrinks, 1 + 1e-9));
  if (c.grid % c.merge != 0) top.refuse("downsample_ratio", "does not divide the patches of a side");
  c.projector_norm = kTowerNorm;
  c.projector_norm.epsilon = 1e-5;
  c.projector_activation = read_decoder_activation(top, "projector_hidden_act", "gelu");
  return c;
}

const std::map<std::string, ReadTower>& towers() {
  static const std::map<std::string, ReadTower> rows = {
      {"LlavaForConditionalGeneration", read_llava_tower},
      {"LlavaNextForConditionalGeneration", read_llava_next_tower},
      {"LlavaOnevisionForConditionalGeneration", read_onevision_tower},
      {"Idefics3ForConditionalGeneration", read_idefics_tower},
      {"SmolVLMForConditionalGeneration", read_idefics_tower},
      {"Gemma3ForConditionalGeneration", read_gemma_tower},
      {"InternVLForConditionalGeneration", read_internvl_tower},
      {"Qwen2VLForConditionalGeneration", read_qwen2_tower},
      {"Qwen2_5_VLForConditionalGeneration", read_qwen25_tower},
      {"Qwen3VLForConditionalGeneration", read_qwen3_tower},
  };
  return rows;
}

}  // namespace

/// The text model is a family of its own, by text_config's model_type.
const std::vector<DecoderFamily>& vision_families() {
  constexpr auto kText = DecoderFamily::Keys::of_text;
  static const std::vector<DecoderFamily> rows = {
      {"LlavaForConditionalGeneration", nullptr, nullptr, kText, "llama"},
      {"LlavaNextForConditionalGeneration", nullptr, nullptr, kText, "llama"},
      {"LlavaOnevisionForConditionalGeneration", nullptr, nullptr, kText, "qwen2"},
      {"Idefics3ForConditionalGeneration", nullptr, nullptr, kText, "llama"},
      {"SmolVLMForConditionalGeneration", nullptr, nullptr, kText, "llama"},
      {"InternVLForConditionalGeneration", nullptr, nullptr, kText, "qwen2"},
  };
  return rows;
}

bool has_tower(const std::string& architecture) { return towers().contains(architecture); }

VisionConfig read_vision_config(const std::string& architecture, ConfigReader& top, std::int64_t text_hidden) {
  const Json* said = top.find("vision_config");
  if (!said || !said->is_object()) top.refuse("vision_config", "is no object, so that the tower is not known");
  ConfigReader tower(*said, top.file() + ", vision_config");
  tower.find("model_type");
  VisionConfig config = towers().at(architecture)(top, tower, text_hidden);
  if (config.text_hidden != text_hidden)
    tower.refuse("out_hidden_size", "is " + std::to_string(config.text_hidden) + ", and the text model's width is " +
                                        std::to_string(text_hidden));
  tower.finish();
  return config;
}

}  // namespace proctor
