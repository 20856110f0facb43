#include "worker/tokenizer/word_level.h"

#include "sharding/protocol/error.h"

namespace proctor {

WordLevel::WordLevel(const nlohmann::json& json) {
  for (const auto& [token, id] : json.at("vocab").items()) add_token(token, whole_id(token, id));
  const std::string unknown = json.value("unk_token", "<unk>");
  const auto found = id(unknown);
  if (!found) throw InputError("WordLevel's unknown token '" + unknown + "' is not in its vocabulary");
  unknown_ = *found;
}

void WordLevel::encode(std::string_view word, Tokens& ids) {
  if (!word.empty()) ids.push_back(id(word).value_or(unknown_));
}

}  // namespace proctor
