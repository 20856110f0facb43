#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include "sharding/simulation/simulation.h"

namespace proctor {
namespace {

/// Of cells that read each other, the longest chain: each as long as all devices together take for it, or a fastest one
/// for its longest shard, behind the load of its module where that is for this cell first. (A module is loaded when it
/// has work, not before.)
double longest_path(const Scenario& scenario, double speeds, double fastest) {
  std::map<std::uint32_t, double> seconds, path;
  std::map<std::uint32_t, const SimulatedModule*> of;
  std::map<const SimulatedModule*, std::vector<std::uint32_t>> cells_of;
  std::map<std::uint32_t, std::vector<std::uint32_t>> reads;
  const auto add = [&](std::uint32_t cell, const SimulatedModule& module, const std::vector<SimulatedShard>& shards) {
    double work = 0, longest = 0;
    for (const SimulatedShard& shard : shards)
      if (shard.cell == cell) work += shard.actual_s, longest = std::max(longest, shard.actual_s);
    const double least = std::max(work * module.tensor_parallel / speeds, longest / fastest);
    seconds[cell] = least;
    of[cell] = &module;
    cells_of[&module].push_back(cell);
  };
  for (const SimulatedModule& module : scenario.modules) {
    std::set<std::uint32_t> cells;
    for (const SimulatedShard& shard : module.shards) cells.insert(shard.cell);
    for (const std::uint32_t cell : cells) add(cell, module, module.shards);
  }
  for (const SimulatedCell& cell : scenario.waiting) {
    add(cell.cell, scenario.modules[cell.module.value], cell.shards);
    reads[cell.cell] = cell.reads;
  }
  const auto comes_before = [&](std::uint32_t early, std::uint32_t late, const auto& self) -> bool {
    return std::ranges::any_of(reads[late],
                               [&](std::uint32_t read) { return read == early || self(early, read, self); });
  };
  const auto is_first = [&](std::uint32_t cell) {
    return std::ranges::all_of(cells_of[of[cell]], [&](std::uint32_t other) {
      return other == cell || comes_before(cell, other, comes_before);
    });
  };
  const auto end_of = [&](std::uint32_t cell, const auto& self) -> double {
    if (const auto known = path.find(cell); known != path.end()) return known->second;
    double begin = 0;
    for (const std::uint32_t read : reads[cell]) begin = std::max(begin, self(read, self));
    return path[cell] = begin + (seconds[cell] > 0 && is_first(cell) ? of[cell]->load_s : 0) + seconds[cell];
  };
  double longest = 0;
  for (const auto& [cell, unused] : seconds) longest = std::max(longest, end_of(cell, end_of));
  return longest;
}

}  // namespace

double least_makespan(const Scenario& scenario) {
  double speeds = 0, fastest = 0, least = 0;
  for (const SimulatedNode& node : scenario.nodes)
    for (double speed : node.speeds) speeds += speed, fastest = std::max(fastest, speed);
  for (const SimulatedModule& module : scenario.modules)
    for (const SimulatedShard& shard : module.shards)
      least = std::max(least, module.load_s + module.teardown_s + shard.actual_s / fastest);
  std::vector<double> works;
  const auto sum_of = [](const std::vector<SimulatedShard>& shards) {
    return std::accumulate(shards.begin(), shards.end(), 0.0,
                           [](double sum, const SimulatedShard& shard) { return sum + shard.actual_s; });
  };
  for (const SimulatedModule& module : scenario.modules) works.push_back(sum_of(module.shards));
  for (const SimulatedCell& cell : scenario.waiting) works[cell.module.value] += sum_of(cell.shards);
  if (!scenario.waiting.empty()) least = std::max(least, longest_path(scenario, speeds, fastest));
  const auto enough = [&](double t) {
    double needed = 0;
    for (std::size_t m = 0; m < works.size(); ++m) {
      if (works[m] <= 0) continue;  // it need not be loaded
      const double load = scenario.modules[m].load_s + scenario.modules[m].teardown_s;
      if (t <= load) return false;
      needed +=
          scenario.modules[m].tensor_parallel * (works[m] + load * std::max(1.0, std::ceil(works[m] / (t - load))));
    }
    return needed <= t * speeds;
  };
  double low = least, high = least;
  while (!enough(high)) high *= 2;
  if (enough(low)) return low;
  for (int i = 0; i < 60; ++i) (enough((low + high) / 2) ? high : low) = (low + high) / 2;
  return high;
}

}  // namespace proctor
