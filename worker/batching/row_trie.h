// Rows in sorted order, and what each shares with the one before: all of their trie that cutting it into batches needs.
// Includes no torch.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/batching/scored_row.h"

namespace proctor {

/// How many tokens both begin with.
std::size_t shared_tokens(const Tokens& a, const Tokens& b);

/// Indices are places in the sorted order. The rows must outlive this.
class RowTrie {
 public:
  explicit RowTrie(const std::vector<ScoredRow>& rows);

  std::size_t size() const { return order_.size(); }
  std::size_t row(std::size_t i) const { return order_[i]; }
  const Tokens& tokens(std::size_t i) const { return rows_[order_[i]].tokens; }
  std::size_t length(std::size_t i) const { return tokens(i).size(); }
  std::size_t scored(std::size_t i) const { return rows_[order_[i]].targets.size(); }
  std::size_t first_scored(std::size_t i) const { return length(i) - scored(i); }
  /// Tokens that rows i - 1 and i begin with.
  std::size_t shared(std::size_t i) const { return shared_[i]; }

  /// What rows [begin, end) all begin with.
  std::size_t shared(std::size_t begin, std::size_t end) const;
  /// Tokens that row i adds to a trie whose first `depth` tokens exist, and which begins with row `begin`.
  std::size_t added(std::size_t i, std::size_t begin, std::size_t depth) const {
    return length(i) - std::max(depth, i == begin ? 0 : std::min(length(i), shared_[i]));
  }
  /// Tokens that rows [begin, end) add together.
  std::size_t trie_size(std::size_t begin, std::size_t end, std::size_t depth) const;
  /// Whether two rows part before what is scored of the second.
  bool has_several_contexts() const;

 private:
  const std::vector<ScoredRow>& rows_;
  std::vector<std::size_t> order_, shared_;
};

}  // namespace proctor
