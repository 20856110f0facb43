// A trie over bytes: texts to numbers, walked byte by byte.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace proctor {

class ByteTrie {
 public:
  struct Node {
    std::int32_t value = -1;  ///< of the text that ends here; -1: none does
   private:
    friend ByteTrie;
    std::vector<std::pair<unsigned char, std::uint32_t>> next;  // child nodes, by byte
  };

  void add(std::string_view text, std::int32_t value) {
    std::uint32_t node = 0;
    for (const char c : text) {
      std::uint32_t child = find(node, static_cast<unsigned char>(c));
      if (child == 0) {
        child = static_cast<std::uint32_t>(nodes_.size());
        nodes_[node].next.emplace_back(static_cast<unsigned char>(c), child);
        if (node == 0) roots_[static_cast<unsigned char>(c)] = child;
        nodes_.emplace_back();
      }
      node = child;
    }
    nodes_[node].value = value;
  }
  const Node* root() const { return nodes_.data(); }
  /// Null where no text goes on with this byte.
  const Node* step(const Node* node, char c) const {
    const std::uint32_t child = find(static_cast<std::uint32_t>(node - nodes_.data()), static_cast<unsigned char>(c));
    return child == 0 ? nullptr : &nodes_[child];
  }

 private:
  std::uint32_t find(std::uint32_t node, unsigned char byte) const {
    if (node == 0) return roots_[byte];
    for (const auto& [next, child] : nodes_[node].next)
      if (next == byte) return child;
    return 0;
  }

  std::vector<Node> nodes_ = {Node{}};
  std::array<std::uint32_t, 256> roots_{};  // the root's children, since it has many; 0: none
};

}  // namespace proctor
