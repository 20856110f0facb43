// The bootstrap's lanes and threads against its definition, one number after another.
#include "orchestrator/metrics/bootstrap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "orchestrator/cpython/python_random.h"

namespace proctor {
namespace {

/// lm-eval 0.4.13's _bootstrap_internal, chunk by chunk.
std::vector<double> one_by_one(const std::vector<double>& values, std::uint32_t iterations, PythonSum how) {
  const std::uint32_t chunk = std::min(1000u, iterations);
  std::vector<double> sums;
  for (std::uint32_t i = 0; i < iterations / chunk; ++i) {
    python::Random random(i);
    for (std::uint32_t r = 0; r < chunk; ++r) {
      std::vector<double> resample(values.size());
      for (double& value : resample) value = values[random.choice(static_cast<std::uint32_t>(values.size()))];
      sums.push_back(python_sum(resample, how));
    }
  }
  return sums;
}

TEST(Bootstrap, every_sum_is_the_one_that_is_drawn_one_by_one) {
  const std::uint64_t seed = std::random_device()();
  std::mt19937_64 random(seed);
  // Of one, of fewer than a turn of the generator, of just as many, of more; chunks that fill the lanes and that do
  // not.
  for (const std::size_t size : {std::size_t{1}, std::size_t{2}, std::size_t{311}, std::size_t{312}, std::size_t{313},
                                 std::size_t{1000 + random() % 1000}})
    for (const std::uint32_t iterations : {1u, 7u, 1000u, 9999u}) {
      if (size > 400 && iterations > 1000) continue;
      std::vector<double> values(size);
      for (double& value : values)
        value = std::ldexp(static_cast<double>(random()), -static_cast<int>(random() % 80)) * (random() % 2 ? 1 : -1);
      for (const PythonSum how : {PythonSum::compensated, PythonSum::naive})
        for (const unsigned threads : {1u, 3u})
          EXPECT_EQ(resampled_sums(values, iterations, how, threads), one_by_one(values, iterations, how))
              << size << " values, " << iterations << " iterations, seed " << seed;
    }
}

}  // namespace
}  // namespace proctor
