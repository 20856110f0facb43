// Tokens that are found in the text as they stand, before the model sees it: leftmost, longest. A byte trie, so that
// thousands of them cost no more than a few.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace proctor {

struct AddedToken {
  std::int32_t id = 0;
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
  /// The whole text, cut; never an empty span.
  std::vector<Span> cut(std::string_view text) const;

 private:
  struct Node {
    std::vector<std::pair<unsigned char, std::uint32_t>> next;  // child nodes, by byte
    std::int32_t token = -1;                                    // index into tokens_
  };
  const AddedToken* longest_at(std::string_view text, std::size_t at, std::size_t& end) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_ = {Node{}};
  std::array<bool, 256> begins_{};
};

}  // namespace proctor
