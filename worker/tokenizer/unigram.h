// The Unigram model of a tokenizer.json (SentencePiece: T5, XLM-R): the cut of a word whose pieces have the highest sum
// of log-probabilities (Kudo 2018, arXiv:1804.10959), by dynamic programming over its bytes.
#pragma once

#include <array>

#include "worker/tokenizer/token_model.h"

namespace proctor {

class Unigram final : public TokenModel {
 public:
  explicit Unigram(const nlohmann::json& json);
  void encode(std::string_view word, std::vector<std::int32_t>& ids) override;

 private:
  struct Node {
    std::vector<std::pair<unsigned char, std::uint32_t>> next;  // by byte
    std::int32_t piece = -1;
  };
  void add_piece(const std::string& piece, std::int32_t id);
  const Node* step(const Node& node, unsigned char byte) const;
  void append(std::string_view piece, std::vector<std::int32_t>& ids) const;

  std::vector<Node> trie_ = {Node{}};
  std::array<std::uint32_t, 256> roots_{};  // the root's children; 0: none
  std::vector<double> scores_;
  double unknown_score_ = 0;
  std::int32_t unknown_ = -1;  // -1: none
  bool byte_fallback_ = false;
  std::array<std::int32_t, 256> byte_ids_{};  // "<0x41>"; -1 where there is none
};

}  // namespace proctor
