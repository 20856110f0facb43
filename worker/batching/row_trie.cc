#include "worker/batching/row_trie.h"

#include <numeric>

namespace proctor {

std::size_t shared_tokens(const Tokens& a, const Tokens& b) {
  const std::size_t bound = std::min(a.size(), b.size());
  return static_cast<std::size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(bound), b.begin()).first - a.begin());
}

RowTrie::RowTrie(const std::vector<ScoredRow>& rows) : rows_(rows), order_(rows.size()), shared_(rows.size()) {
  std::iota(order_.begin(), order_.end(), 0);
  std::stable_sort(order_.begin(), order_.end(),
                   [&](std::size_t a, std::size_t b) { return rows[a].tokens < rows[b].tokens; });
  for (std::size_t i = 1; i < rows.size(); ++i) shared_[i] = shared_tokens(tokens(i - 1), tokens(i));
}

std::size_t RowTrie::shared(std::size_t begin, std::size_t end) const {
  return end - begin == 1 ? length(begin)
                          : *std::min_element(shared_.begin() + static_cast<std::ptrdiff_t>(begin) + 1,
                                              shared_.begin() + static_cast<std::ptrdiff_t>(end));
}

std::size_t RowTrie::trie_size(std::size_t begin, std::size_t end, std::size_t depth) const {
  std::size_t sum = 0;
  for (std::size_t i = begin; i < end; ++i) sum += added(i, begin, depth);
  return sum;
}

bool RowTrie::has_several_contexts() const {
  for (std::size_t i = 1; i < size(); ++i)
    if (shared_[i] < first_scored(i)) return true;
  return false;
}

}  // namespace proctor
