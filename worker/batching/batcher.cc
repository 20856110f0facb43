#include "worker/batching/batcher.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "worker/batching/batch_builder.h"
#include "worker/batching/row_trie.h"

namespace proctor {
namespace {

std::size_t budget_of(const BatchLimits& limits) { return static_cast<std::size_t>(limits.max_batch_tokens); }

/// The longest piece of a prefix; 0: batches are too small for one.
std::size_t longest_piece(const BatchLimits& limits) {
  std::size_t piece = limits.prefix_unit <= budget_of(limits) ? limits.prefix_unit : 0;
  while (piece > 0 && 2 * piece <= budget_of(limits)) piece *= 2;
  return piece;
}

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
      const bool fits = rows_.trie_size(run, run_end, depth) <= budget_ && run_end - run <= limits_.max_rows;
      if (run_end - run == 1 || fits) continue;
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

  const RowTrie rows_;
  const BatchLimits limits_;
  std::size_t budget_, piece_;
  std::vector<Batch> batches_;
};

}  // namespace

std::vector<Batch> make_batches(const std::vector<ScoredRow>& rows, const BatchLimits& limits) {
  const auto is_long = [&](const ScoredRow& row) { return row.tokens.size() > limits.longest_short; };
  if (std::ranges::none_of(rows, is_long)) return BatchPlan(rows, limits).take();
  std::vector<Batch> all;
  for (const bool wanted : {false, true}) {
    std::vector<ScoredRow> some;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (is_long(rows[i]) == wanted) some.push_back(rows[i]), places.push_back(i);
    for (Batch& batch : BatchPlan(some, limits).take()) {
      batch.is_long = wanted;
      batch.prefix_row = places[batch.prefix_row];
      for (RowPath& path : batch.paths) path.row = places[path.row];
      all.push_back(std::move(batch));
    }
  }
  return all;
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

Batch chain_batch(const Tokens& row, std::size_t begin, std::size_t end) {
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

}  // namespace proctor
