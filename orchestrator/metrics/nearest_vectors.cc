#include "orchestrator/metrics/nearest_vectors.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "orchestrator/metrics/vectors.h"

namespace proctor {
namespace {

// Products of several queries with one vector are summed side by side, each in the order in which dot() sums its own:
// a product waits for the one before it, so that the others are free. A vector is read once for so many queries.
// Compiled with -ffp-contract=off, so that every width rounds in one way.
constexpr std::size_t kLanes = 8, kQueries = 4 * kLanes;
using Doubles = double __attribute__((vector_size(8 * kLanes)));
#define PROCTOR_EVERY_WIDTH __attribute__((target_clones("avx512f", "avx2", "default")))

struct Block {
  std::vector<double> values;  // of kQueries queries, element by element
  std::array<double, kQueries> squares{};
};

PROCTOR_EVERY_WIDTH
void products(const double* queries, const float* vector, std::size_t length, double* sums) {
  Doubles all[kQueries / kLanes] = {};
  for (std::size_t i = 0; i < length; ++i) {
    const double value = vector[i];
    for (Doubles& lanes : all) {
      Doubles own;
      __builtin_memcpy(&own, queries, sizeof own);
      lanes += own * value;
      queries += kLanes;
    }
  }
  __builtin_memcpy(sums, all, sizeof all);
}

struct Found {
  float score = 0;  // as trec_eval holds it
  std::uint32_t order = 0, vector = 0;
  double cosine = 0;
  bool operator<(const Found& other) const {  // the better one first
    return score != other.score ? score > other.score : order < other.order;
  }
};

/// The best of what it is shown.
class Best {
 public:
  explicit Best(std::size_t most) : most_(most) {}
  void add(const Found& one) {
    if (full_ && !(one < worst_)) return;
    found_.push_back(one);
    if (found_.size() >= 2 * most_ + 1) shrink();
  }
  std::vector<Found> take() {
    std::ranges::sort(found_, std::less());
    if (found_.size() > most_) found_.resize(most_);
    return std::move(found_);
  }

 private:
  void shrink() {
    const auto last = found_.begin() + static_cast<std::ptrdiff_t>(most_) - 1;
    std::ranges::nth_element(found_, last, std::less());
    worst_ = *last;
    found_.resize(most_);
    full_ = true;
  }
  std::size_t most_;
  std::vector<Found> found_;
  Found worst_;
  bool full_ = false;
};

Block block_of(std::span<const std::span<const float>> queries, std::size_t length) {
  Block block;
  block.values.resize(length * kQueries, 0);
  for (std::size_t q = 0; q < queries.size(); ++q) {
    for (std::size_t i = 0; i < length; ++i) block.values[i * kQueries + q] = queries[q][i];
    block.squares[q] = dot(queries[q], queries[q]);
  }
  return block;
}

/// Of each vector its place among equal scores: later names first.
std::vector<std::uint32_t> orders_of(std::span<const NamedVector> vectors) {
  std::vector<std::uint32_t> by_name(vectors.size()), orders(vectors.size());
  std::iota(by_name.begin(), by_name.end(), 0u);
  std::ranges::sort(by_name, std::greater(), [&](std::uint32_t v) { return vectors[v].id; });
  for (std::uint32_t place = 0; place < by_name.size(); ++place) orders[by_name[place]] = place;
  return orders;
}

}  // namespace

std::vector<std::vector<Ranked>> nearest(std::span<const std::span<const float>> queries,
                                         std::span<const NamedVector> vectors, std::size_t most) {
  std::vector<std::vector<Ranked>> rankings;
  if (most == 0 || vectors.empty()) return std::vector<std::vector<Ranked>>(queries.size());
  const std::size_t length = vectors.front().vector.size();
  const std::vector<std::uint32_t> orders = orders_of(vectors);
  std::vector<double> squares;
  for (const NamedVector& one : vectors) squares.push_back(dot(one.vector, one.vector));
  for (std::size_t begin = 0; begin < queries.size(); begin += kQueries) {
    const auto some = queries.subspan(begin, std::min(kQueries, queries.size() - begin));
    const Block block = block_of(some, length);
    std::vector<Best> best(some.size(), Best(most));
    std::array<double, kQueries> sums{};
    for (std::uint32_t v = 0; v < vectors.size(); ++v) {
      products(block.values.data(), vectors[v].vector.data(), length, sums.data());
      for (std::size_t q = 0; q < some.size(); ++q) {
        const double value = cosine(sums[q], block.squares[q], squares[v]);
        best[q].add({static_cast<float>(value), orders[v], v, value});
      }
    }
    for (Best& one : best) {
      std::vector<Ranked>& ranking = rankings.emplace_back();
      for (const Found& found : one.take()) ranking.push_back({std::string(vectors[found.vector].id), found.cosine});
    }
  }
  return rankings;
}

}  // namespace proctor
