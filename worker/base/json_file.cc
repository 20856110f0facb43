#include "worker/base/json_file.h"

#include <fstream>

#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"

namespace proctor {

nlohmann::json read_json_file(const std::string& path) {
  constexpr int kMaxDepth = 64;
  if (const auto why = why_no_file(path)) throw InputError(path + ": " + *why);
  std::ifstream stream(path);
  if (!stream)
    throw InputError(path + ": cannot be read; a model folder has config.json, tokenizer.json and *.safetensors");
  const auto bounded = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > kMaxDepth) throw InputError(path + ": nested deeper than " + std::to_string(kMaxDepth));
    return true;
  };
  if (stream.peek() == 'v')
    throw InputError(path + ": is no JSON; is it a git-lfs pointer (git lfs pull fetches files)?");
  try {
    return nlohmann::json::parse(stream, bounded);
  } catch (const nlohmann::json::exception& error) {
    throw InputError(path + ": " + error.what());
  }
}

}  // namespace proctor
