#include "worker/tokenizer/token_model.h"

#include <cstdio>

#include "sharding/protocol/error.h"
#include "worker/tokenizer/added_tokens.h"
#include "worker/tokenizer/bpe.h"
#include "worker/tokenizer/unigram.h"
#include "worker/tokenizer/word_level.h"
#include "worker/tokenizer/word_piece.h"

namespace proctor {
std::int64_t TokenModel::whole_id(const std::string& token, const nlohmann::json& id) {
  if (!id.is_number_integer())
    throw InputError("token '" + token + "' has id " + id.dump() + ", which is no whole number");
  return id.get<std::int64_t>();
}

void TokenModel::add_token(const std::string& token, std::int64_t id) {
  if (id < 0 || id > kMostTokenId)
    throw InputError("token '" + token + "' has id " + std::to_string(id) + ", past what a vocabulary can hold");
  if (tokens_.size() <= static_cast<std::size_t>(id)) tokens_.resize(static_cast<std::size_t>(id) + 1);
  tokens_[static_cast<std::size_t>(id)] = token;
  vocabulary_.emplace(token, static_cast<std::int32_t>(id));
}

std::optional<std::int32_t> TokenModel::id(std::string_view token) const {
  const auto found = vocabulary_.find(token);
  return found == vocabulary_.end() ? std::nullopt : std::optional(found->second);
}

const std::string* TokenModel::token(std::int32_t id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= tokens_.size()) return nullptr;
  const std::string& found = tokens_[static_cast<std::size_t>(id)];
  return found.empty() && this->id(found) != id ? nullptr : &found;  // a hole in the vocabulary
}

TokenModel::ByteIds TokenModel::byte_ids() const {
  ByteIds ids;
  for (unsigned byte = 0; byte < ids.size(); ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    ids[byte] = id(name).value_or(-1);
  }
  return ids;
}

/// Older files name no type.
std::unique_ptr<TokenModel> make_token_model(const nlohmann::json& json) {
  const std::string guess = json.contains("merges")                      ? "BPE"
                            : json.contains("continuing_subword_prefix") ? "WordPiece"
                                                                         : "Unigram";
  const std::string type = json.value("type", guess);
  if (type == "BPE") return std::make_unique<Bpe>(json);
  if (type == "WordPiece") return std::make_unique<WordPiece>(json);
  if (type == "Unigram") return std::make_unique<Unigram>(json);
  if (type == "WordLevel") return std::make_unique<WordLevel>(json);
  throw InputError("tokenizer model '" + type + "' is not known (BPE, WordPiece, WordLevel and Unigram are)");
}

}  // namespace proctor
