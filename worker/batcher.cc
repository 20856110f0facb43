#include "worker/batcher.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace proctor {
namespace {

std::size_t common_prefix(const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b) {
  const std::size_t bound = std::min(a.size(), b.size());
  return static_cast<std::size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(bound), b.begin()).first - a.begin());
}

/// Grows one tree row by row; rows come sorted, so a row shares with the tree exactly what it shares with the last one.
class TreeBuilder {
 public:
  explicit TreeBuilder(const std::vector<ScoredRow>& rows) : rows_(rows) {}

  bool empty() const { return tree_.rows.empty(); }
  std::size_t shared(std::size_t row) const {
    return common_prefix(rows_[tree_.rows.back()].tokens, rows_[row].tokens);
  }
  std::size_t size() const { return tree_.tokens.size(); }

  void add(std::size_t row) {
    const ScoredRow& scored = rows_[row];
    const std::size_t kept = empty() ? 0 : shared(row);
    if (!empty() && kept < scored.tokens.size() && kept < path_.size()) tree_.is_chain = false;
    path_.resize(kept);
    for (std::size_t position = kept; position < scored.tokens.size(); ++position) {
      tree_.parents.push_back(position ? path_[position - 1] : -1);
      path_.push_back(static_cast<std::int32_t>(tree_.tokens.size()));
      tree_.tokens.push_back(scored.tokens[position]);
      tree_.positions.push_back(static_cast<std::int32_t>(position));
    }
    tree_.rows.push_back(row);
    tree_.paths.emplace_back(path_.end() - static_cast<std::ptrdiff_t>(scored.targets.size()), path_.end());
  }

  Tree take() {
    path_.clear();
    return std::exchange(tree_, Tree{});
  }

 private:
  const std::vector<ScoredRow>& rows_;
  Tree tree_;
  std::vector<std::int32_t> path_;
};

std::vector<Tree> make_trees(const std::vector<ScoredRow>& rows, const BatchLimits& limits) {
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return rows[a].tokens < rows[b].tokens; });
  std::vector<Tree> trees;
  TreeBuilder builder(rows);
  for (std::size_t row : order) {
    if (!builder.empty()) {
      const std::size_t shared = builder.shared(row);
      const std::size_t grown = builder.size() + rows[row].tokens.size() - shared;
      const bool whole = shared == rows[row].tokens.size();
      if (!whole && (shared < limits.min_shared || grown > limits.max_tree_tokens)) trees.push_back(builder.take());
    }
    builder.add(row);
  }
  if (!builder.empty()) trees.push_back(builder.take());
  return trees;
}

}  // namespace

std::vector<Batch> make_batches(const std::vector<ScoredRow>& rows, const BatchLimits& limits) {
  std::vector<Tree> trees = make_trees(rows, limits);
  std::stable_sort(trees.begin(), trees.end(),
                   [](const Tree& a, const Tree& b) { return a.tokens.size() > b.tokens.size(); });
  std::vector<Batch> batches;
  for (Tree& tree : trees) {
    const std::size_t size = tree.tokens.size();
    if (batches.empty() || batches.back().tokens + size > static_cast<std::size_t>(limits.max_batch_tokens))
      batches.emplace_back();
    batches.back().tokens += size;
    batches.back().trees.push_back(std::move(tree));
  }
  return batches;
}

std::vector<ScoredRow> rolling_windows(const std::vector<std::int32_t>& tokens, std::int32_t prefix,
                                       std::int64_t max_length) {
  std::vector<ScoredRow> windows;
  const auto at = [&](std::size_t i) { return tokens.begin() + static_cast<std::ptrdiff_t>(i); };
  const auto width = static_cast<std::size_t>(max_length);
  const std::size_t first = std::min(width, tokens.size());
  if (first == 0) return windows;
  ScoredRow head{{prefix}, {at(0), at(first)}};
  head.tokens.insert(head.tokens.end(), at(0), at(first - 1));
  windows.push_back(std::move(head));
  for (std::size_t done = first; done < tokens.size();) {
    const std::size_t count = std::min(tokens.size() - done, width), end = done + count;
    windows.push_back({{at(end - std::min(end, width + 1)), at(end - 1)}, {at(done), at(end)}});
    done = end;
  }
  return windows;
}

}  // namespace proctor
