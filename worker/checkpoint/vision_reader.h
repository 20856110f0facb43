// What readers of vision towers have in common.
#pragma once

#include <cstdint>
#include <string>

#include "worker/checkpoint/config_reader.h"
#include "worker/checkpoint/vision_config.h"

namespace proctor {

constexpr NormFacts kTowerNorm = {NormFacts::Kind::layer, 1e-6, false, false, true, true};

/// top: config.json; tower: its vision_config; text_hidden: the decoder's width. Throws InputError.
using ReadTower = VisionConfig (*)(ConfigReader& top, ConfigReader& tower, std::int64_t text_hidden);

VisionConfig read_qwen2_tower(ConfigReader& top, ConfigReader& tower, std::int64_t text_hidden);
VisionConfig read_qwen25_tower(ConfigReader& top, ConfigReader& tower, std::int64_t text_hidden);
VisionConfig read_qwen3_tower(ConfigReader& top, ConfigReader& tower, std::int64_t text_hidden);

/// What a vision_config's class has where the file lacks the key.
struct TowerDefaults {
  std::int64_t hidden = 1152, intermediate = 3072, layers = 12, heads = 16, image = 224, patch = 32;
  double epsilon = 1e-6;
  const char* activation = "gelu_pytorch_tanh";
};

/// Square tiles, as CLIP and SigLIP call their keys and a layer's tensors. Throws InputError.
VisionConfig read_tiles(ConfigReader& reader, const TowerDefaults& defaults);
/// Names of the tensors below `tower`, as CLIP and SigLIP have them.
void name_tower(VisionConfig& config, const std::string& tower);
/// Checks the sizes of a network's blocks and sets head_dim. Throws InputError.
void require_tower_sizes(ConfigReader& reader, VisionConfig& config);

}  // namespace proctor
