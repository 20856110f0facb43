#include "sharding/schedule.h"

#include <limits>

namespace proctor {

Schedule::Schedule(std::vector<ModuleOutlook> modules, std::span<const Shard> shards) {
  for (const ModuleOutlook& outlook : modules) modules_.push_back({outlook, {}, 0, 0});
  for (std::uint32_t s = 0; s < shards.size(); ++s) {
    shards_.emplace_back(shards[s].module, shards[s].flops);
    give_back(ShardId{s});
  }
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
  const double remaining = state.remaining_flops * state.outlook.seconds_per_flop;
  return remaining / state.gangs - (remaining + state.outlook.load_seconds) / (state.gangs + 1);
}

bool Schedule::better(ModuleId a, ModuleId b) const {
  const bool unserved = at(a).gangs == 0;
  if (unserved != (at(b).gangs == 0)) return unserved;
  if (!unserved) return gain(a) > gain(b);
  const auto width_a = at(a).outlook.tensor_parallel, width_b = at(b).outlook.tensor_parallel;
  if (width_a != width_b) return width_a > width_b;
  return at(a).remaining_flops * at(a).outlook.seconds_per_flop >
         at(b).remaining_flops * at(b).outlook.seconds_per_flop;
}

}  // namespace proctor
