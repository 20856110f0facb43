// Towers of the Qwen-VLs, which take whole images of any size: the vision_config of each. Facts of each: its
// configuration class and modeling file in transformers 4.57.1.
#include <algorithm>

#include "worker/checkpoint/decoder_reader.h"
#include "worker/checkpoint/vision_reader.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

/// What the three towers of the Qwen-VLs have in common.
VisionConfig read_qwen_tower(ConfigReader& tower, std::int64_t hidden, std::int64_t patch, std::int64_t layers) {
  VisionConfig c;
  c.hidden = hidden;
  c.layers = tower.get("depth", layers);
  c.heads = tower.get<std::int64_t>("num_heads", 16);
  c.patch = tower.get("patch_size", patch);
  c.frames = tower.get<std::int64_t>("temporal_patch_size", 2);
  c.merge = tower.get<std::int64_t>("spatial_merge_size", 2);
  c.norm = c.projector_norm = kTowerNorm;
  c.norms_patches = c.rotates = true;
  if (c.frames < 1 || c.frames > 16 || c.merge < 1 || c.merge > 16)
    tower.refuse("spatial_merge_size", "is no such number, or temporal_patch_size is none");
  for (const char* key : {"in_channels", "in_chans"}) tower.require(key, 3, "is not the three of an RGB image");
  pass_by(tower, {"spatial_patch_size", "tokens_per_second"});
  VisionNames& n = c.names;
  n.patch = "visual.patch_embed.proj", n.layer = "visual.blocks.";
  n.qkv = "attn.qkv", n.output = "attn.proj", n.attention_in = "norm1", n.mlp_in = "norm2";
  n.projector_norm = "visual.merger.ln_q", n.first = "visual.merger.mlp.0", n.second = "visual.merger.mlp.2";
  return c;
}

void finish_qwen_tower(ConfigReader& tower, VisionConfig& c) {
  require_tower_sizes(tower, c);
  if (c.head_dim % 4 != 0) tower.refuse("num_heads", "leaves heads that cannot be rotated by row and column");
  c.windows.resize(static_cast<std::size_t>(c.layers), 0);
  c.projector_hidden = c.merged();
}

}  // namespace

VisionConfig read_qwen2_tower(ConfigReader&, ConfigReader& tower, std::int64_t text_hidden) {
  constexpr std::int64_t kHidden = 1280, kRatio = 4;
  VisionConfig c = read_qwen_tower(tower, tower.get("embed_dim", kHidden), 14, 32);
  const Json* ratio = tower.find("mlp_ratio");
  c.intermediate = static_cast<std::int64_t>(static_cast<double>(c.hidden) *
                                             (ratio && ratio->is_number() ? ratio->get<double>() : kRatio));
  c.activation = read_decoder_activation(tower, "hidden_act", "quick_gelu");
  c.text_hidden = tower.get("hidden_size", text_hidden);
  c.names.up = "mlp.fc1", c.names.down = "mlp.fc2";
  finish_qwen_tower(tower, c);
  return c;
}

VisionConfig read_qwen25_tower(ConfigReader&, ConfigReader& tower, std::int64_t text_hidden) {
  constexpr std::int64_t kHidden = 3584, kIntermediate = 3420, kWindow = 112;
  VisionConfig c = read_qwen_tower(tower, tower.get("hidden_size", kHidden), 14, 32);
  c.intermediate = tower.get("intermediate_size", kIntermediate);
  c.activation = read_decoder_activation(tower, "hidden_act", "silu");
  c.gated = true;
  c.norm = c.projector_norm = {NormFacts::Kind::rms, 1e-6};
  c.text_hidden = tower.get("out_hidden_size", text_hidden);
  c.names.gate = "mlp.gate_proj", c.names.up = "mlp.up_proj", c.names.down = "mlp.down_proj";
  finish_qwen_tower(tower, c);
  const std::int64_t window = tower.get("window_size", kWindow) / c.merge / c.patch;
  if (window < 1) tower.refuse("window_size", "is below the side of a merged patch");
  std::ranges::fill(c.windows, window);
  for (const auto layer : tower.get("fullatt_block_indexes", std::vector<std::int64_t>{7, 15, 23, 31}))
    if (layer >= 0 && layer < c.layers) c.windows[static_cast<std::size_t>(layer)] = 0;
  return c;
}

VisionConfig read_qwen3_tower(ConfigReader&, ConfigReader& tower, std::int64_t text_hidden) {
  constexpr std::int64_t kHidden = 1152, kIntermediate = 4304, kPositions = 2304;
  VisionConfig c = read_qwen_tower(tower, tower.get("hidden_size", kHidden), 16, 27);
  c.intermediate = tower.get("intermediate_size", kIntermediate);
  c.activation = read_decoder_activation(tower, "hidden_act", "gelu_pytorch_tanh");
  c.patch_bias = true;
  c.positions = tower.get("num_position_embeddings", kPositions);
  c.text_hidden = tower.get("out_hidden_size", text_hidden);
  c.deepstack = tower.get("deepstack_visual_indexes", std::vector<std::int64_t>{8, 16, 24});
  VisionNames& n = c.names;
  n.positions = "visual.pos_embed.weight";
  n.up = "mlp.linear_fc1", n.down = "mlp.linear_fc2";
  n.projector_norm = "visual.merger.norm", n.first = "visual.merger.linear_fc1", n.second = "visual.merger.linear_fc2";
  n.deepstack = "visual.deepstack_merger_list.";
  finish_qwen_tower(tower, c);
  for (const std::int64_t layer : c.deepstack)
    if (layer < 0 || layer >= c.layers) tower.refuse("deepstack_visual_indexes", "names a layer that is not there");
  return c;
}

}  // namespace proctor
