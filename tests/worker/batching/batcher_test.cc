#include "worker/batching/batcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "worker/batching/rolling_windows.h"
#include "worker/postprocessing/generation_text.h"

namespace proctor {
namespace {

using Ids = Tokens;

ScoredRow row(Ids tokens, std::size_t scored = 1) { return {std::move(tokens), Ids(scored, 7)}; }

/// Reads a path's tokens back by walking parents from its last slot, behind the batch's prefix.
Ids tokens_of(const Batch& batch, const std::vector<ScoredRow>& rows, const RowPath& path) {
  Ids tokens;
  for (std::int32_t slot = path.slots.empty() ? -1 : path.slots.back(); slot >= 0;
       slot = batch.parents[static_cast<std::size_t>(slot)])
    tokens.push_back(batch.tokens[static_cast<std::size_t>(slot)]);
  const Ids& prefix = rows[batch.prefix_row].tokens;
  tokens.insert(tokens.end(), prefix.rend() - static_cast<std::ptrdiff_t>(batch.prefix_length), prefix.rend());
  std::ranges::reverse(tokens);
  return tokens;
}

std::size_t all_tokens(const std::vector<Batch>& batches) {
  std::size_t sum = 0;
  for (const Batch& batch : batches) sum += batch.tokens.size();
  return sum;
}

TEST(Batcher, no_rows_no_batches) { EXPECT_TRUE(make_batches({}, {}).empty()); }

TEST(Batcher, equal_rows_are_computed_once) {
  const std::vector<ScoredRow> rows = {{{1, 2}, {5}}, {{1, 2}, {6}}};
  const auto batches = make_batches(rows, {});
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].tokens, (Ids{1, 2}));
  ASSERT_EQ(batches[0].paths.size(), 2u);
  EXPECT_EQ(batches[0].paths[0].slots, batches[0].paths[1].slots);
}

TEST(Batcher, a_small_subtree_is_a_masked_block_and_a_lone_row_a_chain) {
  const std::vector<ScoredRow> rows = {row({1, 2, 3, 4}), row({1, 2, 3, 5}), row({7, 8})};
  const auto batches = make_batches(rows, {100, 5, 2, 64});
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].tokens.size(), 7u);
  ASSERT_EQ(batches[0].blocks.size(), 2u);
  EXPECT_FALSE(batches[0].blocks[0].is_chain);
  EXPECT_TRUE(batches[0].blocks[1].is_chain);
}

/// Eight tokens in common and rows of eight more: shared where that saves enough, else repeated.
TEST(Batcher, a_cut_must_save_what_it_costs) {
  std::vector<ScoredRow> rows;
  for (std::int32_t i = 0; i < 3; ++i) {
    rows.push_back(row(Ids(16, 1)));
    std::fill(rows.back().tokens.begin() + 8, rows.back().tokens.end(), 2 + i);
  }
  const auto shared = make_batches(rows, {100, 10, 16, 64});
  EXPECT_EQ(all_tokens(shared), 8u + 3 * 8);
  ASSERT_EQ(shared[0].blocks.size(), 4u);
  EXPECT_EQ(shared[0].blocks[0].subtree_end, 32u);
  for (std::size_t b = 1; b < 4; ++b) EXPECT_EQ(shared[0].blocks[b].parent, 0);
  const auto repeated = make_batches(rows, {100, 10, 17, 64});
  EXPECT_EQ(all_tokens(repeated), 3u * 16);
  EXPECT_EQ(repeated[0].blocks.size(), 3u);
}

TEST(Batcher, a_header_is_a_prefix_that_no_batch_computes) {
  std::vector<ScoredRow> rows;
  for (std::int32_t i = 0; i < 50; ++i) {
    rows.push_back(row(Ids(70, 1)));
    rows.back().tokens.insert(rows.back().tokens.end(), 10, 2 + i);
  }
  const auto batches = make_batches(rows, {100, 256, 32, 64});
  EXPECT_GT(batches.size(), 4u);
  for (const Batch& batch : batches) {
    EXPECT_EQ(batch.prefix_length, 64u);
    EXPECT_LE(batch.tokens.size(), 100u);
  }
  EXPECT_EQ(all_tokens(batches), 500 + 6 * batches.size()) << "six tokens of the header lie past its last unit";
}

TEST(Batcher, a_context_with_more_behind_it_than_a_batch_holds_becomes_a_prefix_too) {
  std::vector<ScoredRow> rows = {row({9, 9, 9})};
  for (std::int32_t i = 0; i < 12; ++i) {
    rows.push_back(row(Ids(300, 1), 20));
    std::fill(rows.back().tokens.begin() + 280, rows.back().tokens.end(), 2 + i);
  }
  std::set<std::size_t> prefixes;
  for (const Batch& batch : make_batches(rows, {128, 64, 32, 64})) prefixes.insert(batch.prefix_length);
  EXPECT_EQ(prefixes, (std::set<std::size_t>{0, 256})) << "the last unit before what is scored";
}

TEST(Batcher, a_row_longer_than_a_batch_is_scored_in_parts) {
  const std::vector<ScoredRow> rows = {row(Ids(300, 1), 200)};
  const auto batches = make_batches(rows, {150, 64, 32, 64});
  ASSERT_EQ(batches.size(), 3u);
  const std::size_t begins[] = {0, 128, 256}, scored[] = {28, 128, 44};
  for (std::size_t b = 0; b < 3; ++b) {
    EXPECT_EQ(batches[b].prefix_length, begins[b]);
    EXPECT_EQ(batches[b].paths[0].scored, scored[b]);
    EXPECT_EQ(batches[b].extends_prefix, b < 2);
  }
}

TEST(Batcher, pieces_of_a_prefix_are_the_same_whatever_is_longer) {
  const BatchLimits limits{1000, 256, 32, 64};
  using Pieces = std::vector<std::size_t>;
  EXPECT_EQ(prefix_pieces(0, limits), Pieces{});
  EXPECT_EQ(prefix_pieces(768, limits), (Pieces{512, 256}));
  EXPECT_EQ(prefix_pieces(832, limits), (Pieces{512, 256, 64}));
  EXPECT_EQ(prefix_pieces(1600, limits), (Pieces{512, 512, 512, 64}));
}

/// Every target of every row once; every path its row; blocks and parents as their words say.
TEST(Batcher, random_rows_come_back_whole) {
  for (std::uint32_t seed = 0; seed < 400; ++seed) {
    std::mt19937 random(seed);
    std::vector<ScoredRow> rows;
    for (int i = 0; i < 30; ++i) {
      Ids tokens(1 + random() % 40);
      for (auto& token : tokens) token = static_cast<std::int32_t>(random() % (random() % 8 ? 1 : 2));
      rows.push_back({tokens, Ids(1 + random() % tokens.size(), 7)});
    }
    const BatchLimits limits{1 + static_cast<std::int64_t>(random() % 60), random() % 12, 1 + random() % 6,
                             1 + random() % 8};
    std::vector<std::set<std::size_t>> seen(rows.size());
    for (const Batch& batch : make_batches(rows, limits)) {
      ASSERT_EQ(batch.prefix_length % limits.prefix_unit, 0u);
      std::size_t slots = 0;
      for (const Block& block : batch.blocks) {
        ASSERT_EQ(block.begin, slots) << "blocks lie one behind the other";
        slots += block.size;
        const auto end = batch.parents.begin() + static_cast<std::ptrdiff_t>(block.begin);
        if (block.parent >= 0) {
          const Block& above = batch.blocks[static_cast<std::size_t>(block.parent)];
          ASSERT_TRUE(above.is_chain);
          ASSERT_EQ(*end, static_cast<std::int32_t>(above.begin + above.size) - 1);
          ASSERT_LE(block.subtree_end, above.subtree_end);
        } else {
          ASSERT_EQ(*end, -1);
        }
      }
      ASSERT_EQ(slots, batch.tokens.size());
      for (std::size_t s = 0; s < slots; ++s) {
        const std::int32_t parent = batch.parents[s];
        const std::size_t above = parent < 0
                                      ? batch.prefix_length
                                      : static_cast<std::size_t>(batch.positions[static_cast<std::size_t>(parent)]) + 1;
        ASSERT_EQ(static_cast<std::size_t>(batch.positions[s]), above);
      }
      for (const RowPath& path : batch.paths) {
        const ScoredRow& whole = rows[path.row];
        Ids tokens = tokens_of(batch, rows, path);
        ASSERT_TRUE(std::equal(tokens.begin(), tokens.end(), whole.tokens.begin())) << "seed " << seed;
        ASSERT_EQ(tokens.size(), whole.tokens.size() - whole.targets.size() + path.first_target + path.scored);
        ASSERT_LE(path.scored, path.slots.size()) << "no scored position lies in the prefix";
        for (std::size_t i = 0; i < path.scored; ++i) ASSERT_TRUE(seen[path.row].insert(path.first_target + i).second);
      }
    }
    for (std::size_t r = 0; r < rows.size(); ++r) ASSERT_EQ(seen[r].size(), rows[r].targets.size()) << "seed " << seed;
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
