#include "worker/tokenizer/word_piece.h"

#include "sharding/protocol/error.h"
#include "worker/tokenizer/unicode.h"

namespace proctor {

WordPiece::WordPiece(const nlohmann::json& json)
    : prefix_(json.value("continuing_subword_prefix", "##")),
      max_characters_(json.value("max_input_chars_per_word", std::size_t{100})) {
  for (const auto& [token, id] : json.at("vocab").items()) add_token(token, whole_id(token, id));
  const std::string unknown = json.value("unk_token", "[UNK]");
  const auto found = id(unknown);
  if (!found) throw InputError("WordPiece's unknown token '" + unknown + "' is not in its vocabulary");
  unknown_ = *found;
}

void WordPiece::encode(std::string_view word, Tokens& ids) {
  const std::size_t before = ids.size();
  std::size_t characters = 0;
  for (std::size_t at = 0, length = 0; at < word.size(); at += length, ++characters) code_point_at(word, at, length);
  std::string piece;
  for (std::size_t begin = 0; begin < word.size() && characters <= max_characters_;) {
    std::size_t end = word.size();
    std::optional<std::int32_t> found;
    for (; end > begin; end = previous_code_point(word, end)) {
      piece = begin > 0 ? prefix_ : "";
      piece += word.substr(begin, end - begin);
      if ((found = id(piece))) break;
    }
    if (!found) break;
    ids.push_back(*found);
    begin = end;
    if (begin == word.size()) return;
  }
  ids.resize(before);
  if (!word.empty()) ids.push_back(unknown_);
}

}  // namespace proctor
