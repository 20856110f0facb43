// A module, and what holds while its shards are computed, as workers are told of them.
#pragma once

#include <nlohmann/json.hpp>

#include "sharding/protocol/module.h"

namespace proctor {

void to_json(nlohmann::json& json, const ImageOptions& options);
void from_json(const nlohmann::json& json, ImageOptions& options);
void to_json(nlohmann::json& json, const Module& module);
void from_json(const nlohmann::json& json, Module& module);
void to_json(nlohmann::json& json, const Cleanup& cleanup);
void from_json(const nlohmann::json& json, Cleanup& cleanup);
void to_json(nlohmann::json& json, const Deadlines& deadlines);
void from_json(const nlohmann::json& json, Deadlines& deadlines);

}  // namespace proctor
