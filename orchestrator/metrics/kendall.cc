#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "orchestrator/metrics/retrieval_metrics.h"

namespace proctor {
namespace {

/// Pairs that are equal, of values that stand in groups.
template <class Equal>
double tied_pairs(std::size_t count, Equal equal) {
  double pairs = 0;
  for (std::size_t begin = 0, end = 0; begin < count; begin = end) {
    for (end = begin; end < count && equal(begin, end);) ++end;
    const auto size = static_cast<double>(end - begin);
    pairs += size * (size - 1) / 2;
  }
  return pairs;
}

/// Pairs out of order; sorts them on the way.
double inversions(std::vector<double>& values, std::vector<double>& space, std::size_t begin, std::size_t end) {
  if (end - begin < 2) return 0;
  const std::size_t middle = begin + (end - begin) / 2;
  double count = inversions(values, space, begin, middle) + inversions(values, space, middle, end);
  std::size_t left = begin, right = middle, out = begin;
  while (left < middle || right < end) {
    const bool from_right = left == middle || (right < end && values[right] < values[left]);
    if (from_right) count += static_cast<double>(middle - left);
    space[out++] = from_right ? values[right++] : values[left++];
  }
  std::copy(space.begin() + static_cast<std::ptrdiff_t>(begin), space.begin() + static_cast<std::ptrdiff_t>(end),
            values.begin() + static_cast<std::ptrdiff_t>(begin));
  return count;
}

}  // namespace

double kendall(std::span<const double> a, std::span<const double> b) {
  const std::size_t n = a.size();
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](std::size_t x, std::size_t y) { return a[x] != a[y] ? a[x] < a[y] : b[x] < b[y]; });
  const auto same = [&](std::span<const double> of, std::size_t x, std::size_t y) {
    return of[order[x]] == of[order[y]];
  };
  const double ties_a = tied_pairs(n, [&](auto x, auto y) { return same(a, x, y); });
  const double ties_both = tied_pairs(n, [&](auto x, auto y) { return same(a, x, y) && same(b, x, y); });
  std::vector<double> values, space(n);
  for (const std::size_t i : order) values.push_back(b[i]);
  const double discordant = inversions(values, space, 0, n);
  const double ties_b = tied_pairs(n, [&](auto x, auto y) { return values[x] == values[y]; });
  const double all = static_cast<double>(n) * (static_cast<double>(n) - 1) / 2;
  if (all == ties_a || all == ties_b) return std::numeric_limits<double>::quiet_NaN();
  const double surplus = all - ties_a - ties_b + ties_both - 2 * discordant;
  return std::clamp(surplus / std::sqrt(all - ties_a) / std::sqrt(all - ties_b), -1.0, 1.0);
}

}  // namespace proctor
