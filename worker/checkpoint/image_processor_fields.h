// Sizes as image processors' files write them. Each throws InputError naming the key where it is something else.
#pragma once

#include <cstdint>

#include "worker/checkpoint/config_reader.h"

namespace proctor {

void require_side(const ConfigReader& reader, const char* key, std::int64_t side);

/// The value of a key, or of something inside it.
std::int64_t whole_number(ConfigReader& reader, const char* key, const nlohmann::json& value);

/// A side, or two that are the same.
std::int64_t read_square(ConfigReader& reader, const char* key, std::int64_t fallback);

/// One member of an object such as {"shortest_edge": 336}, or the number itself; fallback where the key is absent, null
/// or has no such member.
std::int64_t read_member(ConfigReader& reader, const char* key, const char* member, std::int64_t fallback);

/// {"height": s, "width": s} or {"shortest_edge": s}.
std::int64_t read_side(ConfigReader& reader, const char* key, std::int64_t fallback);

}  // namespace proctor
