// An id is its number.
#pragma once

#include <nlohmann/json.hpp>

#include "sharding/protocol/ids.h"

namespace proctor {

template <class Tag>
void to_json(nlohmann::json& json, const Id<Tag>& id) {
  json = id.value;
}
template <class Tag>
void from_json(const nlohmann::json& json, Id<Tag>& id) {
  id.value = json.get<std::uint32_t>();
}

}  // namespace proctor
