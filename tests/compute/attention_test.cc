#include "worker/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "worker/tree_attention.h"

namespace proctor {
namespace {

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

TEST(Attention, agrees_with_the_reference_with_and_without_grouped_heads) {
  for (const std::int64_t kv_heads : {1, 2, 4}) {
    const at::Tensor q = at::randn({2, 4, 9, 16}), k = at::randn({2, kv_heads, 9, 16}),
                     v = at::randn({2, kv_heads, 9, 16});
    for (const bool causal : {false, true})
      EXPECT_LT(distance(attend(q, k, v, {0.25, causal, {}}), attend_reference(q, k, v, {0.25, causal, {}})), 1e-5);
  }
}

TEST(Attention, a_mask_hides_what_it_says) {
  at::Tensor mask = at::full({1, 1, 3, 5}, 0.0f, at::kFloat);
  mask.narrow(3, 2, 3).fill_(-std::numeric_limits<float>::infinity());
  const at::Tensor q = at::randn({1, 2, 3, 8}), k = at::randn({1, 2, 5, 8}), v = at::randn({1, 2, 5, 8});
  const at::Tensor cut = attend(q, k.narrow(2, 0, 2), v.narrow(2, 0, 2), {1, false, {}});
  EXPECT_LT(distance(attend(q, k, v, {1, false, mask}), cut), 1e-5);
}

TEST(AttentionDeathTest, no_query_or_no_key_is_our_own_mistake) {
  const at::Tensor none = at::randn({1, 1, 0, 8}), one = at::randn({1, 1, 1, 8});
  EXPECT_DEATH(attend(none, one, one, {}), "needs a query and a key");
}

/// Each row of a tree computed alone, causally, must give what the tree gives at that row's slots.
TEST(TreeAttention, a_tree_gives_each_row_what_it_gets_alone) {
  DecoderConfig config;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 8;
  for (const std::int64_t window : {0, 3}) {
    config.windows = {window};
    const std::vector<ScoredRow> rows = {
        {{1, 2, 3, 4, 5, 6}, {1, 1}}, {{1, 2, 3, 7}, {1, 1}}, {{1, 2, 3, 7, 8}, {1}}, {{9, 9}, {1, 1}}};
    const auto batches = make_batches(rows, {64, 1, 64});
    ASSERT_EQ(batches.size(), 1u);
    const auto total = static_cast<std::int64_t>(batches[0].tokens);
    const at::Tensor q = at::randn({total, 4, 8}), k = at::randn({total, 2, 8}), v = at::randn({total, 2, 8});
    const at::Tensor whole = TreeAttention(batches[0], config, q.options())(0, q, k, v);
    std::int64_t base = 0;
    for (const Tree& tree : batches[0].trees) {
      for (std::size_t r = 0; r < tree.rows.size(); ++r) {
        std::vector<std::int64_t> path;
        for (std::int32_t slot = tree.paths[r].back(); slot >= 0; slot = tree.parents[static_cast<std::size_t>(slot)])
          path.insert(path.begin(), base + slot);
        std::vector<at::Tensor> qs, ks, vs;
        const auto pick = [&](const at::Tensor& x) {
          at::Tensor out = x.new_empty({static_cast<std::int64_t>(path.size()), x.size(1), x.size(2)});
          for (std::size_t i = 0; i < path.size(); ++i) out[static_cast<std::int64_t>(i)].copy_(x[path[i]]);
          return out;
        };
        Tree chain;
        chain.tokens.assign(path.size(), 0);
        Batch alone;
        alone.trees.push_back(chain);
        const at::Tensor expected = TreeAttention(alone, config, q.options())(0, pick(q), pick(k), pick(v));
        EXPECT_LT(distance(whole[path.back()], expected[static_cast<std::int64_t>(path.size()) - 1]), 1e-5)
            << "row " << tree.rows[r] << " window " << window;
      }
      base += static_cast<std::int64_t>(tree.tokens.size());
    }
  }
}

}  // namespace
}  // namespace proctor
