// The WordLevel model of a tokenizer.json: a word is a token of the vocabulary, or the unknown one.
#pragma once

#include "sharding/protocol/tokens.h"
#include "worker/tokenizer/token_model.h"

namespace proctor {

class WordLevel final : public TokenModel {
 public:
  explicit WordLevel(const nlohmann::json& json);
  void encode(std::string_view word, Tokens& ids) override;

 private:
  std::int32_t unknown_ = 0;
};

}  // namespace proctor
