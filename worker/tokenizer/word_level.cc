#include "worker/tokenizer/word_level.h"

#include "sharding/protocol/error.h"

namespace proctor {

WordLevel::WordLevel(const nlohmann::json& json) : unknown_(json.value("unk_token", "<unk>")) {
  for (const auto& [token, id] : json.at("vocab").items()) add_token(token, whole_id(token, id));
}

void WordLevel::encode(std::string_view word, Tokens& ids) {
  if (word.empty()) return;
  auto found = id(word);
  if (!found) found = id(unknown_);
  if (!found)
    throw InputError("WordLevel: '" + std::string(word) + "' and the unknown token '" + unknown_ +
                     "' are not in the vocabulary");
  ids.push_back(*found);
}

}  // namespace proctor
