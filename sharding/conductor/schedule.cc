#include "sharding/conductor/schedule.h"

#include <algorithm>
#include <iterator>
#include <limits>

namespace proctor {

Schedule::Schedule(std::vector<ModuleOutlook> modules, std::span<const Shard> shards) {
  for (const ModuleOutlook& outlook : modules) modules_.emplace_back().outlook = outlook;
  add(shards);
}

/// A module's estimate of FLOPs a second weighs as much as one of the shards that it has first.
void Schedule::add(std::span<const Shard> shards) {
  for (const Shard& shard : shards) {
    shards_.emplace_back(shard.module, shard.flops);
    give_back(ShardId{static_cast<std::uint32_t>(shards_.size() - 1)});
  }
  for (ModuleState& module : modules_) {
    if (module.known_flops > 0 || module.unassigned.empty()) continue;
    module.known_flops = std::max(1e-9, module.remaining_flops / static_cast<double>(module.unassigned.size()));
    module.known_seconds = module.known_flops * module.outlook.seconds_per_flop;
  }
}

std::optional<ShardId> Schedule::upcoming(ModuleId module) const {
  constexpr std::uint32_t kMostGangs = 64;
  const ModuleState& state = at(module);
  const std::uint32_t others = std::max(1u, state.gangs) - 1;
  if (others >= kMostGangs || state.unassigned.size() <= others) return std::nullopt;
  return std::next(state.unassigned.begin(), others)->shard;
}

void Schedule::on_ran(ShardId shard, double seconds) {
  const auto [module, flops] = shards_[shard.value];
  modules_[module.value].known_flops += flops;
  modules_[module.value].known_seconds += seconds;
}

void Schedule::on_loaded(ModuleId module, double seconds) {
  ModuleState& state = modules_[module.value];
  double& estimate = state.outlook.load_seconds;
  estimate += (seconds - estimate) / ++state.loads;
}

void Schedule::give_back(ShardId shard) {
  const auto [module, flops] = shards_[shard.value];
  modules_[module.value].unassigned.insert({-flops, shard});
  modules_[module.value].remaining_flops += flops;
}

void Schedule::withdraw(ShardId shard) {
  const auto [module, flops] = shards_[shard.value];
  if (modules_[module.value].unassigned.erase({-flops, shard})) modules_[module.value].remaining_flops -= flops;
}

void Schedule::on_gang_opening(ModuleId module) { ++modules_[module.value].gangs; }
void Schedule::on_gang_gone(ModuleId module) { --modules_[module.value].gangs; }

void Schedule::drop(ModuleId module) {
  modules_[module.value].unassigned.clear();
  modules_[module.value].remaining_flops = 0;
}

bool Schedule::joinable(ModuleId module) const {
  const ModuleState& state = at(module);
  return state.unassigned.size() > state.gangs && gain(module) > 0;
}

double Schedule::gain(ModuleId module) const {
  const ModuleState& state = at(module);
  if (state.gangs == 0) return std::numeric_limits<double>::infinity();
  const double remaining = state.seconds();
  return remaining / state.gangs - (remaining + state.outlook.load_seconds) / (state.gangs + 1);
}

bool Schedule::better(ModuleId a, ModuleId b) const {
  const bool unserved = at(a).gangs == 0;
  if (unserved != (at(b).gangs == 0)) return unserved;
  if (!unserved) return gain(a) > gain(b);
  if (expects_more(a) != expects_more(b)) return expects_more(b);
  const auto width_a = at(a).outlook.tensor_parallel, width_b = at(b).outlook.tensor_parallel;
  if (width_a != width_b) return width_a > width_b;
  return at(a).seconds() > at(b).seconds();
}

}  // namespace proctor
