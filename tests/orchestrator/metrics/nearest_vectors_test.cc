#include "orchestrator/metrics/nearest_vectors.h"

#include <gtest/gtest.h>

#include <random>

#include "orchestrator/metrics/retrieval_metrics.h"
#include "orchestrator/metrics/vectors.h"

namespace proctor {
namespace {

struct Vectors {
  std::vector<std::vector<float>> values;
  std::vector<std::string> names;
  std::vector<std::span<const float>> spans() const { return {values.begin(), values.end()}; }
  std::vector<NamedVector> named() const {
    std::vector<NamedVector> all;
    for (std::size_t v = 0; v < values.size(); ++v) all.push_back({names[v], values[v]});
    return all;
  }
};

/// Of few different vectors, so that many scores are equal; some are zero.
Vectors drawn(std::mt19937& random, std::size_t count, std::size_t length) {
  Vectors all;
  std::normal_distribution<float> normal;
  for (std::size_t v = 0; v < count; ++v) {
    std::vector<float>& one = all.values.emplace_back(length, 0.0F);
    if (v % 7 == 3) {
      one = all.values[v / 2];
    } else if (v % 11 != 5) {
      for (float& value : one) value = normal(random);
    }
    all.names.push_back("p" + std::to_string(random() % 100000) + "-" + std::to_string(v));
  }
  return all;
}

TEST(NearestVectors, are_those_of_a_full_sort_to_the_bit) {
  std::mt19937 random(3);
  for (const auto& [queries, vectors, length, most] :
       {std::tuple(1u, 1u, 1u, 1u), std::tuple(5u, 40u, 3u, 7u), std::tuple(33u, 300u, 17u, 10u),
        std::tuple(70u, 50u, 384u, 1000u), std::tuple(32u, 1000u, 8u, 3u), std::tuple(3u, 21u, 1u, 20u)}) {
    const Vectors asked = drawn(random, queries, length), passages = drawn(random, vectors, length);
    const auto found = nearest(asked.spans(), passages.named(), most);
    ASSERT_EQ(found.size(), queries);
    for (std::size_t q = 0; q < queries; ++q) {
      std::vector<Ranked> all;
      for (std::size_t v = 0; v < vectors; ++v)
        all.push_back({passages.names[v], cosine(asked.values[q], passages.values[v])});
      sort_as_trec_eval(all);
      all.resize(std::min<std::size_t>(all.size(), most));
      EXPECT_EQ(found[q], all) << queries << " " << vectors << " " << length << " " << most << ", query " << q;
    }
  }
}

TEST(NearestVectors, of_nothing_are_none) {
  const std::vector<float> one = {1, 2};
  const std::vector<std::span<const float>> queries = {one};
  EXPECT_EQ(nearest(queries, {}, 5), std::vector<std::vector<Ranked>>(1));
  EXPECT_TRUE(nearest({}, {}, 5).empty());
}

}  // namespace
}  // namespace proctor
