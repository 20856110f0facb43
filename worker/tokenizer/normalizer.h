// tokenizer.json's "normalizer": text -> text, before anything is split. Pure; thread-safe after construction.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

namespace proctor {

using Normalizer = std::function<std::string(std::string)>;

/// `json` may be null (no normalization). Throws InputError naming a type that is not supported.
Normalizer make_normalizer(const nlohmann::json& json);

}  // namespace proctor
