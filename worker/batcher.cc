#include "worker/batcher.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace proctor {
namespace {

std::size_t shared_tokens(const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b) {
  const std::size_t bound = std::min(a.size(), b.size());
  return static_cast<std::size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(bound), b.begin()).first - a.begin());
}

std::size_t budget_of(const BatchLimits& limits) { return static_cast<std::size_t>(limits.max_batch_tokens); }

/// The longest piece of a prefix; 0: batches are too small for one.
std::size_t longest_piece(const BatchLimits& limits) {
  std::size_t piece = limits.prefix_unit <= budget_of(limits) ? limits.prefix_unit : 0;
  while (piece > 0 && 2 * piece <= budget_of(limits)) piece *= 2;
  return piece;
}

/// Rows in sorted order, and what each shares with the one before: all of the trie that planning needs.
class SortedRows {
 public:
  explicit SortedRows(const std::vector<ScoredRow>& rows) : rows_(rows), order_(rows.size()), shared_(rows.size()) {
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return rows[a].tokens < rows[b].tokens; });
    for (std::size_t i = 1; i < rows.size(); ++i) shared_[i] = shared_tokens(tokens(i - 1), tokens(i));
  }

  std::size_t size() const { return order_.size(); }
  std::size_t row(std::size_t i) const { return order_[i]; }
  const std::vector<std::int32_t>& tokens(std::size_t i) const { return rows_[order_[i]].tokens; }
  std::size_t length(std::size_t i) const { return tokens(i).size(); }
  std::size_t scored(std::size_t i) const { return rows_[order_[i]].targets.size(); }
  std::size_t first_scored(std::size_t i) const { return length(i) - scored(i); }
  /// Tokens that rows i - 1 and i begin with.
  std::size_t shared(std::size_t i) const { return shared_[i]; }

  /// What rows [begin, end) all begin with.
  std::size_t shared(std::size_t begin, std::size_t end) const {
    return end - begin == 1 ? length(begin)
                            : *std::min_element(shared_.begin() + static_cast<std::ptrdiff_t>(begin) + 1,
                                                shared_.begin() + static_cast<std::ptrdiff_t>(end));
  }
  /// Tokens that row i adds to a trie whose first `depth` tokens exist, and which begins with row `begin`.
  std::size_t added(std::size_t i, std::size_t begin, std::size_t depth) const {
    return length(i) - std::max(depth, i == begin ? 0 : std::min(length(i), shared_[i]));
  }
  std::size_t trie_size(std::size_t begin, std::size_t end, std::size_t depth) const {
    std::size_t sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += added(i, begin, depth);
    return sum;
  }
  bool has_several_contexts() const {
    for (std::size_t i = 1; i < size(); ++i)
      if (shared_[i] < first_scored(i)) return true;
    return false;
  }

 private:
  const std::vector<ScoredRow>& rows_;
  std::vector<std::size_t> order_, shared_;
};

/// Lays rows out in the blocks of one batch.
class BatchBuilder {
 public:
  BatchBuilder(const SortedRows& rows, const BatchLimits& limits, std::size_t depth)
      : rows_(rows), limits_(limits), depth_(depth) {
    batch_.prefix_length = depth;
  }

  /// Rows [begin, end), in ascending order, whose first `start` tokens are laid out and end in `parent`.
  void add(std::size_t begin, std::size_t end, std::size_t start, std::int32_t parent) {
    const std::size_t shared = rows_.shared(begin, end), size = rows_.trie_size(begin, end, start);
    const bool one_path = size == rows_.length(end - 1) - start;
    if (one_path || size <= limits_.max_bush_tokens) return add_block(begin, end, start, parent, one_path);
    const std::vector<std::size_t> ends = ends_of_children(begin, end, shared);
    const std::size_t saved = (shared - start) * (ends.size() - 1);
    std::int32_t trunk = parent;
    if (shared > start && saved >= limits_.min_saved) {
      trunk = open_block(parent, true);
      lay_out(begin, start, shared);
      close_block(trunk);
      start = shared;
    }
    for (std::size_t child = begin; std::size_t child_end : ends) {
      add(child, child_end, start, trunk);
      child = child_end;
    }
    if (trunk != parent) batch_.blocks[static_cast<std::size_t>(trunk)].subtree_end = batch_.tokens.size();
  }

  Batch take(std::size_t prefix_row) {
    batch_.prefix_row = prefix_row;
    return std::move(batch_);
  }

 private:
  std::vector<std::size_t> ends_of_children(std::size_t begin, std::size_t end, std::size_t shared) const {
    std::vector<std::size_t> ends;
    for (std::size_t i = begin + 1; i < end; ++i)
      if (rows_.shared(i) == shared) ends.push_back(i);
    ends.push_back(end);
    return ends;
  }

  void add_block(std::size_t begin, std::size_t end, std::size_t start, std::int32_t parent, bool is_chain) {
    const bool empty = rows_.trie_size(begin, end, start) == 0;  // rows that end where their parent does
    const std::int32_t block = empty ? -1 : open_block(parent, is_chain);
    for (std::size_t i = begin; i < end; ++i) {
      lay_out(i, i == begin ? start : std::max(start, rows_.shared(i)), rows_.length(i));
      batch_.paths.push_back({rows_.row(i), path_, 0, rows_.scored(i)});
    }
    if (!empty) close_block(block);
  }

  std::int32_t open_block(std::int32_t parent, bool is_chain) {
    batch_.blocks.push_back({batch_.tokens.size(), 0, parent, 0, is_chain});
    return static_cast<std::int32_t>(batch_.blocks.size()) - 1;
  }
  void close_block(std::int32_t index) {
    Block& block = batch_.blocks[static_cast<std::size_t>(index)];
    block.subtree_end = batch_.tokens.size();
    block.size = block.subtree_end - block.begin;
  }

  /// Slots for positions [from, to) of row i.
  void lay_out(std::size_t i, std::size_t from, std::size_t to) {
    path_.resize(from - depth_);
    for (std::size_t position = from; position < to; ++position) {
      batch_.parents.push_back(path_.empty() ? -1 : path_.back());
      path_.push_back(static_cast<std::int32_t>(batch_.tokens.size()));
      batch_.tokens.push_back(rows_.tokens(i)[position]);
      batch_.positions.push_back(static_cast<std::int32_t>(position));
    }
  }

  const SortedRows& rows_;
  const BatchLimits& limits_;
  std::size_t depth_;
  Batch batch_;
  std::vector<std::int32_t> path_;  // slots of the positions laid out last, from depth_ on
};

/// Cuts the trie into batches, in its order.
class BatchPlan {
 public:
  BatchPlan(const std::vector<ScoredRow>& rows, const BatchLimits& limits)
      : rows_(rows), limits_(limits), budget_(budget_of(limits)), piece_(longest_piece(limits)) {
    if (rows.empty()) return;
    plan(0, rows_.size(), rows_.has_several_contexts() ? prefix_of(0, rows_.size()) : limits.min_prefix);
  }
  std::vector<Batch> take() { return std::move(batches_); }

 private:
  /// The longest prefix that rows [begin, end) can have: no scored position lies in it.
  std::size_t prefix_of(std::size_t begin, std::size_t end) const {
    std::size_t length = rows_.shared(begin, end);
    for (std::size_t i = begin; i < end; ++i) length = std::min(length, rows_.first_scored(i));
    return piece_ ? length / limits_.prefix_unit * limits_.prefix_unit : 0;
  }

  /// Rows [begin, end) behind `depth` tokens. Those that share much and do not fit a batch get a longer prefix.
  void plan(std::size_t begin, std::size_t end, std::size_t depth) {
    std::size_t waiting = begin;
    for (std::size_t run = begin, run_end = begin; run < end; run = run_end) {
      for (run_end = run + 1; run_end < end && rows_.shared(run_end) >= depth + budget_ / 8;) ++run_end;
      if (run_end - run == 1 || rows_.trie_size(run, run_end, depth) <= budget_) continue;
      const std::size_t deeper = prefix_of(run, run_end);
      if (deeper <= depth) continue;
      fill(waiting, run, depth);
      plan(run, run_end, deeper);
      waiting = run_end;
    }
    fill(waiting, end, depth);
  }

  void fill(std::size_t begin, std::size_t end, std::size_t depth) {
    while (begin < end) {
      if (piece_ && rows_.length(begin) - depth > budget_) {
        add_long_row(begin++);
        continue;
      }
      const std::size_t cut = end_of_batch(begin, end, depth);
      BatchBuilder builder(rows_, limits_, depth);
      builder.add(begin, cut, depth, -1);
      batches_.push_back(builder.take(rows_.row(begin)));
      begin = cut;
    }
  }

  /// As many rows as fit, or up to a quarter of the budget fewer if the cut then tears less.
  std::size_t end_of_batch(std::size_t begin, std::size_t end, std::size_t depth) const {
    std::size_t size = rows_.added(begin, begin, depth), last = begin + 1;
    while (last < end && last - begin < limits_.max_rows && size + rows_.added(last, begin, depth) <= budget_)
      size += rows_.added(last++, begin, depth);
    if (last == end) return end;
    std::size_t best = last;
    for (std::size_t cut = last - 1; cut > begin; --cut) {
      size -= rows_.added(cut, begin, depth);
      if (4 * size < 3 * budget_) break;
      if (rows_.shared(cut) < rows_.shared(best)) best = cut;
    }
    return best;
  }

  /// Its scored positions in chains of at most a piece, each behind all before it.
  void add_long_row(std::size_t i) {
    const std::size_t length = rows_.length(i);
    for (std::size_t scored = rows_.first_scored(i), end = 0; scored < length; scored = end) {
      const std::size_t begin = scored / piece_ * piece_;
      end = std::min(length, begin + piece_);
      Batch batch = chain_batch(rows_.tokens(i), begin, end);
      batch.prefix_row = rows_.row(i);
      RowPath path{rows_.row(i), std::vector<std::int32_t>(end - begin), scored - rows_.first_scored(i), end - scored};
      std::iota(path.slots.begin(), path.slots.end(), 0);
      batch.paths.push_back(std::move(path));
      batch.extends_prefix = end < length;
      batches_.push_back(std::move(batch));
    }
  }

  const SortedRows rows_;
  const BatchLimits limits_;
  std::size_t budget_, piece_;
  std::vector<Batch> batches_;
};

}  // namespace

std::vector<Batch> make_batches(const std::vector<ScoredRow>& rows, const BatchLimits& limits) {
  return BatchPlan(rows, limits).take();
}

std::size_t common_prefix(const std::vector<ScoredRow>& rows, const BatchLimits& limits) {
  if (rows.size() < 2 || longest_piece(limits) == 0) return 0;
  std::size_t shared = rows[0].tokens.size();
  for (const ScoredRow& row : rows)
    shared = std::min({shared, shared_tokens(row.tokens, rows[0].tokens), row.tokens.size() - row.targets.size()});
  return shared / limits.prefix_unit * limits.prefix_unit;
}

std::vector<std::size_t> prefix_pieces(std::size_t length, const BatchLimits& limits) {
  std::vector<std::size_t> pieces;
  for (std::size_t piece = longest_piece(limits); length > 0; length -= piece) {
    while (piece > length) piece /= 2;
    pieces.push_back(piece);
  }
  return pieces;
}

Batch chain_batch(const std::vector<std::int32_t>& row, std::size_t begin, std::size_t end) {
  const std::size_t size = end - begin;
  Batch batch;
  batch.prefix_length = begin;
  batch.tokens.assign(row.begin() + static_cast<std::ptrdiff_t>(begin), row.begin() + static_cast<std::ptrdiff_t>(end));
  batch.positions.resize(size);
  std::iota(batch.positions.begin(), batch.positions.end(), static_cast<std::int32_t>(begin));
  batch.parents.resize(size);
  std::iota(batch.parents.begin(), batch.parents.end(), -1);
  batch.blocks.push_back({0, size, -1, size, true});
  return batch;
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
