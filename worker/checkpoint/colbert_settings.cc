#include "worker/checkpoint/colbert_settings.h"

#include <filesystem>

#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"
#include "worker/base/json_file.h"
#include "worker/checkpoint/known_keys.h"

namespace proctor {

ColbertSettings read_colbert_settings(const std::string& folder) {
  ColbertSettings settings;
  const std::filesystem::path path = std::filesystem::path(folder) / "artifact.metadata";
  if (!is_there(path)) return settings;
  try {
    const nlohmann::json json = read_json_file(path.string());
    refuse_unknown_keys(json, "artifact.metadata", path.string());
    settings.dim = json.value("dim", settings.dim);
    settings.query_tokens = json.value("query_maxlen", settings.query_tokens);
    settings.passage_tokens = json.value("doc_maxlen", settings.passage_tokens);
    settings.query_marker = json.value("query_token_id", settings.query_marker);
    settings.passage_marker = json.value("doc_token_id", settings.passage_marker);
    settings.skip_punctuation = json.value("mask_punctuation", settings.skip_punctuation);
    settings.attend_to_masks = json.value("attend_to_mask_tokens", settings.attend_to_masks);
    const std::pair<const char*, nlohmann::json> alone[] = {
        {"similarity", "cosine"}, {"interaction", "colbert"}, {"relu", false}};
    for (const auto& [key, value] : alone)
      if (json.contains(key) && !json.at(key).is_null() && json.at(key) != value)
        throw InputError(path.string() + ": " + key + " " + json.at(key).dump() + " is not supported (" + value.dump() +
                         " is)");
  } catch (const nlohmann::json::exception& error) {
    throw InputError(path.string() + ": not as expected: " + error.what());
  }
  if (settings.dim < 1 || settings.query_tokens < 3 || settings.passage_tokens < 3)
    throw InputError(path.string() + ": dim, query_maxlen or doc_maxlen is too small");
  return settings;
}

}  // namespace proctor
