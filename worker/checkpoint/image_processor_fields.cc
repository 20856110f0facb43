#include "worker/checkpoint/image_processor_fields.h"

namespace proctor {

using Json = nlohmann::json;

void require_side(const ConfigReader& reader, const char* key, std::int64_t side) {
  if (side < 1 || side > 16384) reader.refuse(key, "has " + std::to_string(side) + ", which is no number of pixels");
}

std::int64_t whole_number(ConfigReader& reader, const char* key, const Json& value) {
  if (!value.is_number_integer()) reader.refuse(key, "is " + value.dump() + ", which is no whole number");
  return value.get<std::int64_t>();
}

std::int64_t read_square(ConfigReader& reader, const char* key, std::int64_t fallback) {
  const Json* value = reader.find(key);
  if (!value || value->is_null()) return fallback;
  const bool is_pair = value->is_array() && value->size() == 2 && value->at(0) == value->at(1);
  const std::int64_t side = whole_number(reader, key, is_pair ? value->at(0) : *value);
  require_side(reader, key, side);
  return side;
}

/// One member of an object such as {"shortest_edge": 336}; fallback where the key is absent, null or has no such
/// member.
std::int64_t read_member(ConfigReader& reader, const char* key, const char* member, std::int64_t fallback) {
  const Json* value = reader.find(key);
  if (!value || value->is_null()) return fallback;
  if (value->is_number_integer()) return value->get<std::int64_t>();
  if (!value->is_object()) reader.refuse(key, "is " + value->dump() + ", which is no size");
  return value->contains(member) ? whole_number(reader, key, value->at(member)) : fallback;
}

std::int64_t read_side(ConfigReader& reader, const char* key, std::int64_t fallback) {
  const std::int64_t side = read_member(reader, key, "shortest_edge", read_member(reader, key, "height", fallback));
  if (read_member(reader, key, "width", side) != side) reader.refuse(key, "is no square");
  require_side(reader, key, side);
  return side;
}

}  // namespace proctor
