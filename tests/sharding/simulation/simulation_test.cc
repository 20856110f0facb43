// Random runs in virtual time: arrivals, crashes, hangs, slow devices, silent nodes, kills of rank 0. What must hold is
// checked at each step by the simulated world (sharding/simulation). A failing seed is printed; to see it alone:
//   PROCTOR_SIMULATION_SEED=1234 build/bin/sharding_simulation_test --gtest_filter=Simulation.random*
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "tests/sharding/simulation/cases.h"

namespace proctor::simulation {
namespace {

using Random = std::mt19937_64;
std::uint32_t up_to(Random& random, std::uint32_t most) { return static_cast<std::uint32_t>(random() % (most + 1)); }
double between(Random& random, double low, double high) { return std::uniform_real_distribution(low, high)(random); }

InjectedFault fault(Random& random, const Scenario& scenario) {
  using Kind = InjectedFault::Kind;
  InjectedFault fault;
  fault.kind = std::array{Kind::crash, Kind::kill, Kind::hang, Kind::slow, Kind::silence, Kind::stop}[random() % 6];
  fault.at = between(random, 0, 60);
  fault.slot.agent = AgentId{up_to(random, static_cast<std::uint32_t>(scenario.nodes.size()) - 1)};
  const auto devices = static_cast<std::uint32_t>(scenario.nodes[fault.slot.agent.value].speeds.size());
  fault.slot.slot = up_to(random, devices - 1);
  fault.amount = fault.kind == Kind::slow ? between(random, 0.2, 1) : between(random, 0.5, 40);
  const bool one_node_will_do =
      std::ranges::all_of(scenario.modules, [&](const auto& module) { return module.tensor_parallel <= devices; });
  const bool for_ever =
      fault.kind == Kind::silence && fault.slot.agent.value > 0 && one_node_will_do && random() % 3 == 0;
  if (for_ever) fault.amount = 1e9;  // node 0 alone can serve every module
  return fault;
}

/// Some cells more, each over answers of some before it; one may have no shards.
void wait_for_each_other(Scenario& scenario, Random& random) {
  const auto modules = static_cast<std::uint32_t>(scenario.modules.size());
  for (std::uint32_t m = 0; m < modules; ++m)
    for (SimulatedShard& shard : scenario.modules[m].shards) shard.cell = m;
  for (std::uint32_t c = modules, last = modules + 1 + up_to(random, 5); c < last; ++c) {
    SimulatedCell& cell = scenario.waiting.emplace_back();
    cell.module = ModuleId{up_to(random, modules - 1)};
    cell.cell = c;
    for (std::uint32_t r = 1 + up_to(random, 2); r > 0; --r) cell.reads.push_back(up_to(random, c - 1));
    for (std::uint32_t s = up_to(random, 8); s > 0; --s) {
      const double seconds = between(random, 0.1, 6);
      cell.shards.push_back({seconds, seconds * between(random, 0.4, 2.7), c});
    }
  }
}

Scenario draw(std::uint64_t seed) {
  Random random(seed);
  Scenario scenario;
  scenario.patience = 20000;  // of slow devices too
  scenario.deadlines.progress = Deadlines::Seconds(30);
  const std::uint32_t nodes = 1 + up_to(random, 3), devices = 1 + up_to(random, 7);
  for (std::uint32_t n = 0; n < nodes; ++n) {
    SimulatedNode& node = scenario.nodes.emplace_back();
    for (std::uint32_t d = 0; d < devices; ++d) node.speeds.push_back(random() % 4 ? 1 : between(random, 0.3, 1));
    if (n > 0 && random() % 3 == 0) node.arrives = between(random, 0, 30);
  }
  for (std::uint32_t m = 0, modules = 1 + up_to(random, 4); m < modules; ++m) {
    SimulatedModule& module = scenario.modules.emplace_back();
    module.tensor_parallel = std::min(devices, 1u << up_to(random, 3));
    if (nodes > 1 && random() % 8 == 0) module.tensor_parallel = 2 * devices;
    module.load_s = between(random, 0.1, 15);
    module.teardown_s = between(random, 0.01, 2);
    for (std::uint32_t s = up_to(random, 30); s > 0; --s) {
      const double seconds = between(random, 0.1, 6);
      module.shards.push_back({seconds, seconds * between(random, 0.4, 2.7)});
    }
  }
  if (random() % 2) wait_for_each_other(scenario, random);
  for (std::uint32_t t = up_to(random, 6); t > 0; --t) scenario.faults.push_back(fault(random, scenario));
  return scenario;
}

TEST(Simulation, random_runs_answer_every_request_once_whatever_happens) {
  const char* one = std::getenv("PROCTOR_SIMULATION_SEED");
  const std::uint64_t first = one ? std::strtoull(one, nullptr, 10) : 1, last = one ? first : PROCTOR_SIMULATIONS;
  std::size_t assignments = 0, shards = 0, failed = 0;
  for (std::uint64_t seed = first; seed <= last && failed < 5; ++seed) {
    const Scenario scenario = draw(seed);
    const Outcome outcome = simulate(scenario);
    assignments += outcome.assignments;
    for (const SimulatedModule& module : scenario.modules) shards += module.shards.size();
    for (const SimulatedCell& cell : scenario.waiting) shards += cell.shards.size();
    if (outcome.violations.empty()) continue;
    ++failed;
    ADD_FAILURE() << "seed " << seed << ": " << outcome.violations.front();
  }
  if (!one) {
    EXPECT_GT(assignments, shards) << "troubles were met, and cost shards";
  }
}

TEST(Simulation, the_same_seed_is_the_same_run) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Outcome a = simulate(draw(seed)), b = simulate(draw(seed));
    EXPECT_EQ(a.makespan, b.makespan);
    EXPECT_EQ(a.events, b.events);
  }
}

TEST(Simulation, no_run_is_shorter_than_the_least_possible) {
  for (const Case& each : cases()) {
    const Scenario scenario = each.draw(7);
    if (scenario.nodes.size() > 8) continue;  // the table looks at more
    const double least = least_makespan(scenario);
    EXPECT_GE(simulate(scenario).makespan, least) << each.name;
    if (!scenario.waiting.empty()) continue;  // the others have no chains
    EXPECT_GE(first_in_first_out(scenario), least * 0.999) << each.name;
    EXPECT_GE(static_stride(scenario), least) << each.name;
    EXPECT_GE(whole_tasks(scenario, true), least) << each.name;
  }
}

TEST(Simulation, the_least_makespan_of_small_cases_is_known) {
  Scenario scenario;
  scenario.nodes = {{{1, 1}, 0}};
  scenario.modules = {{1, 9, 1, std::vector<SimulatedShard>(20, {1, 1})}};
  EXPECT_NEAR(least_makespan(scenario), 20, 1e-6) << "two gangs: 10 s of load, 10 s of work";
  scenario.modules[0].shards = {{1, 1}};
  EXPECT_NEAR(least_makespan(scenario), 11, 1e-6) << "a shard is not cut";
  scenario.modules.push_back({1, 5, 1, {}});
  scenario.waiting = {{ModuleId{1}, 1, {0}, {{30, 30, 1}}}};
  EXPECT_NEAR(least_makespan(scenario), 45, 1e-6) << "9 s of load, a shard of 1 s, 5 s of load, a shard of 30 s";
}

TEST(Simulation, a_cell_waits_for_those_that_it_reads_and_its_module_is_loaded_once) {
  Scenario scenario;
  scenario.nodes = {{{1}, 0}};
  scenario.modules = {{1, 5, 1, {{4, 4, 0}, {4, 4, 0}}}, {1, 5, 1, {{4, 4, 1}}}, {1, 5, 1, {}}};
  scenario.waiting = {{ModuleId{2}, 2, {0}, {{3, 3, 2}}}, {ModuleId{2}, 3, {1}, {{3, 3, 3}}}};
  scenario.expect_no_faults(40);
  const Outcome outcome = simulate(scenario);
  ASSERT_TRUE(outcome.violations.empty()) << outcome.violations.front();
  ASSERT_EQ(outcome.visits.size(), 3u) << "the judge comes after both that it reads";
  EXPECT_EQ(outcome.visits[2].module, ModuleId{2});
}

/// The world finds what it is there to find.
TEST(Simulation, a_run_that_cannot_end_is_reported) {
  Scenario scenario;
  scenario.patience = 100;
  scenario.nodes = {{{1, 1}, 0}};
  scenario.modules = {{4, 1, 1, {{1, 1}}}};
  const Outcome outcome = simulate(scenario);
  ASSERT_EQ(outcome.violations.size(), 1u);
  EXPECT_NE(outcome.violations[0].find("too few workers"), std::string::npos) << outcome.violations[0];
}

}  // namespace
}  // namespace proctor::simulation
