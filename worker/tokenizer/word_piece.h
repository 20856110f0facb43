// The WordPiece model of a tokenizer.json (BERT): of each word the longest known beginning, then the longest known
// continuation, and so on; a word that cannot be made so is one unknown token.
#pragma once

#include "sharding/protocol/tokens.h"
#include "worker/tokenizer/token_model.h"

namespace proctor {

class WordPiece final : public TokenModel {
 public:
  explicit WordPiece(const nlohmann::json& json);
  void encode(std::string_view word, Tokens& ids) override;

 private:
  std::string prefix_;  // of a continuation: "##"
  std::int32_t unknown_ = 0;
  std::size_t max_characters_ = 100;  // of a word; longer ones are unknown
};

}  // namespace proctor
