#include "worker/batcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "worker/generation_text.h"

namespace proctor {
namespace {

using Ids = std::vector<std::int32_t>;

/// Reads a row back out of its tree by walking parents from its last slot.
Ids row_of(const Tree& tree, std::int32_t slot) {
  Ids tokens;
  for (; slot >= 0; slot = tree.parents[static_cast<std::size_t>(slot)])
    tokens.push_back(tree.tokens[static_cast<std::size_t>(slot)]);
  std::ranges::reverse(tokens);
  return tokens;
}

TEST(Batcher, no_rows_no_batches) { EXPECT_TRUE(make_batches({}, {}).empty()); }

TEST(Batcher, rows_that_begin_alike_share_their_slots) {
  const std::vector<ScoredRow> rows = {{{1, 2, 3, 4}, {9}}, {{1, 2, 3, 5}, {9}}, {{7, 8}, {9}}};
  const auto batches = make_batches(rows, {100, 2, 100});
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].tokens, 7u);
  ASSERT_EQ(batches[0].trees.size(), 2u);
  EXPECT_FALSE(batches[0].trees[0].is_chain);
  EXPECT_TRUE(batches[0].trees[1].is_chain);
}

TEST(Batcher, equal_rows_are_computed_once) {
  const std::vector<ScoredRow> rows = {{{1, 2}, {5}}, {{1, 2}, {6}}};
  const auto batches = make_batches(rows, {});
  ASSERT_EQ(batches[0].trees.size(), 1u);
  EXPECT_EQ(batches[0].tokens, 2u);
  EXPECT_EQ(batches[0].trees[0].paths, (std::vector<Ids>{{1}, {1}}));
}

TEST(Batcher, keeps_to_its_budget_unless_one_tree_alone_is_larger) {
  std::vector<ScoredRow> rows;
  for (std::int32_t i = 0; i < 20; ++i) rows.push_back({Ids(static_cast<std::size_t>(10 + i), i), {1}});
  for (const Batch& batch : make_batches(rows, {25, 16, 100}))
    EXPECT_TRUE(batch.tokens <= 25 || batch.trees.size() == 1);
}

TEST(Batcher, random_rows_come_back_whole_from_their_trees) {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    std::vector<ScoredRow> rows;
    for (int i = 0; i < 30; ++i) {
      Ids tokens(1 + random() % 12);
      for (auto& token : tokens) token = static_cast<std::int32_t>(random() % 2);
      rows.push_back({tokens, Ids(1 + random() % tokens.size(), 7)});
    }
    std::vector<int> seen(rows.size(), 0);
    for (const Batch& batch : make_batches(rows, {40, random() % 4, 30}))
      for (const Tree& tree : batch.trees) {
        for (std::size_t s = 0; s < tree.tokens.size(); ++s) {
          const std::int32_t parent = tree.parents[s];
          ASSERT_LT(parent, static_cast<std::int32_t>(s));
          ASSERT_EQ(tree.positions[s], parent < 0 ? 0 : tree.positions[static_cast<std::size_t>(parent)] + 1);
        }
        for (std::size_t r = 0; r < tree.rows.size(); ++r) {
          ++seen[tree.rows[r]];
          ASSERT_EQ(tree.paths[r].size(), rows[tree.rows[r]].targets.size());
          ASSERT_EQ(row_of(tree, tree.paths[r].back()), rows[tree.rows[r]].tokens) << "seed " << seed;
        }
      }
    ASSERT_EQ(seen, std::vector<int>(rows.size(), 1));
  }
}

/// The windows of lm-eval's get_rolling_token_windows and make_disjoint_window, max_length 4, prefix 99.
TEST(RollingWindows, are_lm_evals) {
  const auto windows = [](std::size_t n) {
    Ids tokens(n);
    for (std::size_t i = 0; i < n; ++i) tokens[i] = static_cast<std::int32_t>(i);
    std::vector<std::pair<Ids, Ids>> out;
    for (const ScoredRow& row : rolling_windows(tokens, 99, 4)) out.emplace_back(row.tokens, row.targets);
    return out;
  };
  EXPECT_TRUE(windows(0).empty());
  using Windows = std::vector<std::pair<Ids, Ids>>;
  EXPECT_EQ(windows(3), (Windows{{{99, 0, 1}, {0, 1, 2}}}));
  EXPECT_EQ(windows(5), (Windows{{{99, 0, 1, 2}, {0, 1, 2, 3}}, {{0, 1, 2, 3}, {4}}}));
  EXPECT_EQ(windows(8), (Windows{{{99, 0, 1, 2}, {0, 1, 2, 3}}, {{3, 4, 5, 6}, {4, 5, 6, 7}}}));
  EXPECT_EQ(windows(10),
            (Windows{{{99, 0, 1, 2}, {0, 1, 2, 3}}, {{3, 4, 5, 6}, {4, 5, 6, 7}}, {{5, 6, 7, 8}, {8, 9}}}));
}

TEST(Stops, cut_in_order_and_empty_ones_never_count) {
  EXPECT_EQ(cut_at_stops("a\nb\n\nc", {"\n\n", ""}), "a\nb");
  EXPECT_TRUE(has_stop("xx.", {"", "."}));
  EXPECT_FALSE(has_stop("xx", {""}));
}

}  // namespace
}  // namespace proctor
