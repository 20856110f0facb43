// The Unigram model of a tokenizer.json (SentencePiece: T5, XLM-R): the cut of a word whose pieces have the highest sum
// of log-probabilities (Kudo 2018, arXiv:1804.10959), by dynamic programming over its bytes.
#pragma once

#include "sharding/protocol/tokens.h"
#include "worker/tokenizer/byte_trie.h"
#include "worker/tokenizer/token_model.h"

namespace proctor {

class Unigram final : public TokenModel {
 public:
  explicit Unigram(const nlohmann::json& json);
  void encode(std::string_view word, Tokens& ids) override;

 private:
  void append(std::string_view piece, Tokens& ids) const;

  ByteTrie trie_;  // of pieces' ids
  std::vector<double> scores_;
  double unknown_score_ = 0;
  std::int32_t unknown_ = -1;  // -1: none
  bool byte_fallback_ = false;
  ByteIds byte_ids_{};
};

}  // namespace proctor
