#include "worker/kernels/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/worker/support/tolerance.h"

namespace proctor {
namespace {

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

/// Sums of up to 16 products and 9 keys, of values of up to 5 (normal numbers), in another order.
void expect_near(const Attended& a, const Attended& b) {
  const double tolerance = 4 * 5 * rounding_of_sum(16 + 9);
  EXPECT_LT(distance(a.out, b.out), tolerance);
  EXPECT_LT(distance(a.lse, b.lse), tolerance);
}

TEST(Attention, agrees_with_the_reference_with_and_without_grouped_heads) {
  for (const std::int64_t kv_heads : {1, 2, 4}) {
    const at::Tensor q = at::randn({2, 4, 9, 16}), k = at::randn({2, kv_heads, 9, 16}),
                     v = at::randn({2, kv_heads, 9, 16});
    for (const bool causal : {false, true})
      expect_near(attend(q, k, v, {0.25, causal, {}}), attend_reference(q, k, v, {0.25, causal, {}}));
  }
}

TEST(Attention, a_mask_hides_what_it_says) {
  at::Tensor mask = at::full({1, 1, 3, 5}, 0.0f, at::kFloat);
  mask.narrow(3, 2, 3).fill_(-std::numeric_limits<float>::infinity());
  const at::Tensor q = at::randn({1, 2, 3, 8}), k = at::randn({1, 2, 5, 8}), v = at::randn({1, 2, 5, 8});
  expect_near(attend(q, k, v, {1, false, mask}), attend(q, k.narrow(2, 0, 2), v.narrow(2, 0, 2), {1, false, {}}));
}

TEST(Attention, what_two_sets_of_keys_give_is_joined_by_their_log_sum_exp) {
  const at::Tensor q = at::randn({1, 4, 5, 16}), k = at::randn({1, 2, 9, 16}), v = at::randn({1, 2, 9, 16});
  const AttendSpec spec{0.25, false, {}};
  Attended both = attend(q, k.narrow(2, 0, 3), v.narrow(2, 0, 3), spec);
  join(both, attend(q, k.narrow(2, 3, 6), v.narrow(2, 3, 6), spec));
  expect_near(both, attend(q, k, v, spec));
  Attended nothing = attend(q, k, v, spec);
  nothing.lse.fill_(-std::numeric_limits<float>::infinity());
  join(both, nothing);
  expect_near(both, attend(q, k, v, spec));
}

/// In pieces of queries, each with the keys that it may see.
TEST(Attention, a_soft_cap_counts_before_the_mask_for_any_number_of_queries) {
  constexpr double kCap = 0.7;
  const std::int64_t length = 300;
  const at::Tensor q = at::randn({1, 2, length, 8}), k = at::randn({1, 1, length, 8}), v = at::randn({1, 1, length, 8});
  at::Tensor mask = at::full({1, 1, length, length}, 0.0f, at::kFloat);
  mask.narrow(3, 100, 50).fill_(-std::numeric_limits<float>::infinity());
  for (const AttendSpec& spec : {AttendSpec{1, true, {}, kCap}, AttendSpec{1, false, mask, kCap}}) {
    const Attended got = attend(q, k, v, spec), expected = attend_reference(q, k, v, spec);
    const double tolerance = 4 * 5 * rounding_of_sum(8 + length);
    EXPECT_LT(distance(got.out, expected.out), tolerance);
    EXPECT_LT(distance(got.lse, expected.lse), tolerance);
    AttendSpec uncapped = spec;
    uncapped.soft_cap = 0;
    EXPECT_GT(distance(got.out, attend(q, k, v, uncapped).out), 0.01);
  }
}

TEST(AttentionDeathTest, no_query_or_no_key_is_our_own_mistake) {
  const at::Tensor none = at::randn({1, 1, 0, 8}), one = at::randn({1, 1, 1, 8});
  EXPECT_DEATH(attend(none, one, one, {}), "needs a query and a key");
}

}  // namespace
}  // namespace proctor
