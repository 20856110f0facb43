#include "orchestrator/planning/best_module.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace proctor {
namespace {

using Means = std::vector<double>;  // of one metric, by candidate

void add_rank(Means& sums, const Means& means) {
  for (std::size_t i = 0; i < means.size(); ++i) {
    double above = 0, same = 0;
    for (const double other : means) above += other > means[i], same += other == means[i];
    sums[i] += 1 / (above + (same + 1) / 2);
  }
}

void add_normalized(Means& sums, const Means& means) {
  const auto [low, high] = std::ranges::minmax(means);
  if (!(high > low) || std::isinf(low)) return;
  for (std::size_t i = 0; i < means.size(); ++i) sums[i] += (means[i] - low) / (high - low);
}

}  // namespace

std::size_t best_of(std::span<const Candidate> candidates, const BestChoice& choice) {
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < candidates.size(); ++i)
    if (!choice.at_most_tokens || candidates[i].tokens <= *choice.at_most_tokens) kept.push_back(i);
  if (kept.empty())
    for (std::size_t i = 0; i < candidates.size(); ++i) kept.push_back(i);
  Means sums(kept.size(), 0.0);
  for (std::size_t m = 0; m < candidates.front().means.size(); ++m) {
    Means means;
    for (const std::size_t i : kept) {
      const double mean = candidates[i].means[m];
      means.push_back(std::isnan(mean) ? -std::numeric_limits<double>::infinity() : mean);
    }
    if (choice.strategy == BestChoice::Strategy::rank)
      add_rank(sums, means);
    else if (choice.strategy == BestChoice::Strategy::normalize_mean)
      add_normalized(sums, means);
    else
      for (std::size_t i = 0; i < means.size(); ++i) sums[i] += means[i];
  }
  return kept[static_cast<std::size_t>(std::ranges::max_element(sums) - sums.begin())];
}

}  // namespace proctor
