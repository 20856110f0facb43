#include "worker/postprocessing/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <vector>

namespace proctor {
namespace {

const std::vector<float> kLogits = {0, 3, 1, 2, -std::numeric_limits<float>::infinity()};

/// How often each token comes at evenly spread numbers: its probability, to 1e-4.
std::map<std::int32_t, double> shares(const Sampling& sampling) {
  std::map<std::int32_t, double> out;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) out[sample(kLogits, sampling, (i + 0.5) / kDraws)] += 1.0 / kDraws;
  return out;
}

void expect_shares(const Sampling& sampling, const std::map<std::int32_t, double>& weights) {
  double sum = 0;
  for (const auto& [token, weight] : weights) sum += weight;
  const auto got = shares(sampling);
  EXPECT_EQ(got.size(), weights.size());
  for (const auto& [token, weight] : weights) EXPECT_NEAR(got.at(token), weight / sum, 2e-4) << token;
}

TEST(Sampling, draws_by_the_softmax_and_never_what_is_impossible) {
  expect_shares({1.0}, {{0, 1}, {1, std::exp(3)}, {2, std::exp(1)}, {3, std::exp(2)}});
}

TEST(Sampling, temperature_divides_the_logits) {
  expect_shares({0.5}, {{0, 1}, {1, std::exp(6)}, {2, std::exp(2)}, {3, std::exp(4)}});
}

TEST(Sampling, top_k_keeps_the_best_and_their_equals) {
  expect_shares({1.0, 2}, {{1, std::exp(3)}, {3, std::exp(2)}});
  EXPECT_EQ(sample(std::vector<float>{1, 2, 2}, {1.0, 1}, 0.9), 2) << "an equal of the best";
}

/// Probabilities 0.644, 0.237, 0.087, 0.032 in falling order.
TEST(Sampling, top_p_drops_the_tail_that_fits_outside) {
  expect_shares({1.0, 0, 0.95}, {{1, std::exp(3)}, {2, std::exp(1)}, {3, std::exp(2)}});
  expect_shares({1.0, 0, 0.7}, {{1, std::exp(3)}, {3, std::exp(2)}});
  expect_shares({1.0, 0, 0.01}, {{1, 1}});
}

TEST(Sampling, greedy_is_a_temperature_of_zero) {
  EXPECT_TRUE(Sampling{}.is_greedy());
  EXPECT_FALSE(Sampling{0.1}.is_greedy());
}

TEST(SamplingDeathTest, nothing_to_draw_from_is_our_own_mistake) {
  EXPECT_DEATH(sample({}, {1.0}, 0.5), "a token is drawn from something");
}

}  // namespace
}  // namespace proctor
