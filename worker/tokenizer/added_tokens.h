// Tokens that are found in the text as they stand, before the model sees it: leftmost, longest. By a trie, so that
// thousands of them cost no more than a few.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "worker/tokenizer/byte_trie.h"

namespace proctor {

constexpr std::int32_t kMostTokenId = 1 << 26;  ///< past what any vocabulary holds

struct AddedToken {
  std::int32_t id = -1;  ///< as its file says, where it does; in a tokenizer, the one it got
  std::string content;
  bool single_word = false, lstrip = false, rstrip = false, normalized = false, special = false;
};

class AddedTokenMatcher {
 public:
  void add(AddedToken token);

  struct Span {
    std::size_t begin, end;
    const AddedToken* token;  ///< null: text between tokens
  };
  /// The whole text, cut; no text's span is empty, and tokens' may overlap.
  std::vector<Span> cut(std::string_view text) const;

 private:
  const AddedToken* longest_at(std::string_view text, std::size_t at, std::size_t& end) const;

  std::vector<AddedToken> tokens_;
  ByteTrie trie_;  // of their indices
};

}  // namespace proctor
