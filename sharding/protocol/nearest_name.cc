#include "sharding/protocol/nearest_name.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace proctor {
namespace {

std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j)
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])}));
  }
  return row.back();
}

}  // namespace

std::string nearest(const std::string& name, const std::set<std::string>& known) {
  std::string best;
  std::size_t distance = std::max<std::size_t>(3, name.size() / 2);
  for (const std::string& candidate : known)
    if (const std::size_t d = edit_distance(name, candidate); d < distance) distance = d, best = candidate;
  return best;
}

}  // namespace proctor
