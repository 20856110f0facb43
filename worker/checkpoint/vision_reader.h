// What readers of vision towers have in common.
#pragma once

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

/// By transformers' name. Throws InputError for one that is not implemented.
Activation read_activation(ConfigReader& reader, const char* key, const std::string& fallback);
/// Checks the sizes of a network's blocks and sets head_dim. Throws InputError.
void require_tower_sizes(ConfigReader& reader, VisionConfig& config);

}  // namespace proctor
