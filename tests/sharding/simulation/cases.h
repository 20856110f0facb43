// The cases of the schedule's table (docs/schedule.md), and what peers would need for them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sharding/simulation/simulation.h"

namespace proctor::simulation {

struct Case {
  std::string name, work;      ///< work: how it is drawn, for the table
  double mean = 0, worst = 0;  ///< wanted: makespan over the bound
  std::size_t seeds = 30;
  std::function<Scenario(std::uint64_t seed)> draw;
};
std::vector<Case> cases();
/// A pipeline of modules that work on what others answered, drawn by its seed.
Scenario chain(std::uint64_t seed);

/// Makespans of other policies on the same work, without faults.
/// lm-eval: every gang loads every module in turn and takes each n-th shard; all wait for the slowest.
double static_stride(const Scenario& scenario);
/// OpenCompass: a job is one of a module's kTasks tasks, loads its module, takes the gang that is free first.
double whole_tasks(const Scenario& scenario, bool longest_first);
/// The next shard, modules in their order, to the gang that is free first; a gang loads when its module changes.
double first_in_first_out(const Scenario& scenario);
constexpr std::size_t kTasks = 20;

/// A finished run's shards and loads as they were measured, on its devices, each of the usual speed. `seconds`: from
/// the first visit's opening to the last one's end. Throws Error where the directory holds no such run.
struct Replay {
  Scenario scenario;
  double seconds = 0;
};
Replay read_run(const std::string& directory);

}  // namespace proctor::simulation
