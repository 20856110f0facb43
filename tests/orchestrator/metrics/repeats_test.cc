// Metrics over the texts drawn of a document.
#include "orchestrator/metrics/repeats.h"

#include <gtest/gtest.h>

#include <array>

namespace proctor {
namespace {

TEST(Repeats, names_are_read) {
  using Kind = RepeatMetric::Kind;
  EXPECT_EQ(repeat_metric("pass@10")->k, 10u);
  EXPECT_EQ(repeat_metric("maj@4")->kind, Kind::majority);
  EXPECT_EQ(repeat_metric("avg@4")->kind, Kind::average);
  for (const char* wrong : {"pass", "pass@", "pass@0", "pass@01", "pass@x", "pass@1x", "best@2", "@2", "pass@-1"})
    EXPECT_FALSE(repeat_metric(wrong)) << wrong;
}

/// Drawn in every way: of n texts, c of them right, k without replacement.
double counted(std::size_t n, std::size_t c, std::size_t k) {
  double hits = 0, all = 0;
  for (unsigned chosen = 0; chosen < (1u << n); ++chosen) {
    if (static_cast<std::size_t>(__builtin_popcount(chosen)) != k) continue;
    all += 1;
    hits += (chosen & ((1u << c) - 1)) != 0;
  }
  return hits / all;
}

TEST(Repeats, pass_at_k_is_the_share_of_all_draws) {
  for (std::size_t n = 1; n <= 8; ++n)
    for (std::size_t c = 0; c <= n; ++c)
      for (std::size_t k = 1; k <= n; ++k) EXPECT_NEAR(pass_at(n, c, k), counted(n, c, k), 1e-12) << n << c << k;
  EXPECT_NEAR(pass_at(10000, 1, 100), 0.01, 1e-12);
}

TEST(Repeats, the_majority_is_of_the_first_k) {
  const std::array<std::string, 5> texts = {"a", "b", "b", "a", "a"};
  EXPECT_EQ(texts[majority_of(texts, 5)], "a");
  EXPECT_EQ(texts[majority_of(texts, 3)], "b");
  EXPECT_EQ(majority_of(texts, 2), 0u) << "the first seen among equals";
}

}  // namespace
}  // namespace proctor
