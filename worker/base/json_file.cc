#include "worker/base/json_file.h"

#include <fstream>

#include "sharding/protocol/error.h"

namespace proctor {

nlohmann::json read_json_file(const std::string& path) {
  constexpr int kMaxDepth = 64;
  std::ifstream stream(path);
  if (!stream)
    throw InputError(path + ": cannot be read; a model folder has config.json, tokenizer.json and *.safetensors");
  const auto bounded = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > kMaxDepth) throw InputError(path + ": nested deeper than " + std::to_string(kMaxDepth));
    return true;
  };
  try {
    return nlohmann::json::parse(stream, bounded);
  } catch (const nlohmann::json::exception& error) {
    throw InputError(path + ": " + error.what());
  }
}

}  // namespace proctor
