#include <algorithm>
#include <cmath>
#include <numeric>

#include "sharding/simulation/simulation.h"

namespace proctor {

double least_makespan(const Scenario& scenario) {
  double speeds = 0, fastest = 0, least = 0;
  for (const SimulatedNode& node : scenario.nodes)
    for (double speed : node.speeds) speeds += speed, fastest = std::max(fastest, speed);
  for (const SimulatedModule& module : scenario.modules)
    for (const SimulatedShard& shard : module.shards)
      least = std::max(least, module.load_s + module.teardown_s + shard.actual_s / fastest);
  std::vector<double> works;
  for (const SimulatedModule& module : scenario.modules)
    works.push_back(std::accumulate(module.shards.begin(), module.shards.end(), 0.0,
                                    [](double sum, const SimulatedShard& shard) { return sum + shard.actual_s; }));
  const auto enough = [&](double t) {
    double needed = 0;
    for (std::size_t m = 0; m < works.size(); ++m) {
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
