// Prints how far from the least possible time the schedule is, beside peers' policies: docs/schedule.md. Exits 1 where
// a wanted figure is missed or anything that must hold did not.
//   schedule_table [--quick]       quick: three seeds a case, none at 4,096 GPUs
//   schedule_table --chains N      the share of the bound over N chains of tasks
//   schedule_table --replay DIR    a finished run again in virtual time, by its turns.jsonl and ledger.jsonl
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <vector>

#include "tests/sharding/simulation/cases.h"

namespace {

using namespace proctor;
using namespace proctor::simulation;

/// Over random chains, makespan over the least possible time.
int print_chains(std::uint64_t count) {
  std::vector<double> ratios;
  for (std::uint64_t seed = 1; seed <= count; ++seed) {
    const Scenario scenario = chain(seed);
    const Outcome outcome = simulate(scenario);
    for (const std::string& violation : outcome.violations)
      std::printf("seed %zu: %s\n", static_cast<std::size_t>(seed), violation.c_str());
    if (!outcome.violations.empty()) return 1;
    ratios.push_back(outcome.makespan / least_makespan(scenario));
  }
  std::ranges::sort(ratios);
  const auto at = [&](std::size_t permille) { return ratios[(ratios.size() - 1) * permille / 1000]; };
  std::printf("%zu chains, all ended: median %.3f, 95 %% below %.3f, 99 %% below %.3f, worst %.3f of the bound\n",
              ratios.size(), at(500), at(950), at(990), ratios.back());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 2 && std::strcmp(argv[1], "--chains") == 0) {
    const std::uint64_t count = std::strtoull(argv[2], nullptr, 10);
    if (count > 0) return print_chains(count);
    std::fprintf(stderr, "schedule_table: --chains takes how many, found '%s'\n", argv[2]);
    return 2;
  }
  if (argc > 2 && std::strcmp(argv[1], "--replay") == 0) try {
      const Replay run = read_run(argv[2]);
      const Outcome outcome = simulate(run.scenario);
      std::printf(
          "%s: %.2f s from the first worker ready to the last visit's end; simulated: %.2f s (%+.1f %%); least "
          "possible: %.2f s\n",
          argv[2], run.seconds, outcome.makespan, 100 * (outcome.makespan / run.seconds - 1),
          least_makespan(run.scenario));
      return 0;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "schedule_table: %s\n", error.what());
      return 2;
    }
  const bool quick = argc > 1 && std::strcmp(argv[1], "--quick") == 0;
  bool held = true;
  std::printf(
      "| case | work | proctor, mean / worst | wanted | static stride | whole tasks | longest first | FIFO | "
      "tail | us a decision |\n|---|---|---|---|---|---|---|---|---|---|\n");
  for (const Case& each : cases()) {
    if (quick && each.seeds < 30) continue;
    const std::size_t seeds = quick ? 3 : each.seeds;
    double mean = 0, worst = 0, stride = 0, tasks = 0, longest = 0, fifo = 0, wall = 0, tail = 0;
    std::size_t decisions = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
      const Scenario scenario = each.draw(seed);
      const auto begin = std::chrono::steady_clock::now();
      const Outcome outcome = simulate(scenario);
      wall += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      decisions += outcome.assignments;
      for (const std::string& violation : outcome.violations) {
        std::printf("seed %zu of %s: %s\n", static_cast<std::size_t>(seed), each.name.c_str(), violation.c_str());
        held = false;
      }
      const double least = least_makespan(scenario), ratio = outcome.makespan / least,
                   share = 1 / static_cast<double>(seeds);
      mean += ratio * share;
      tail += 100 * (outcome.makespan - outcome.last_assignment) / outcome.makespan * share;
      worst = std::max(worst, ratio);
      if (!scenario.waiting.empty()) continue;  // the others have no chains
      stride += static_stride(scenario) / least * share;
      tasks += whole_tasks(scenario, false) / least * share;
      longest += whole_tasks(scenario, true) / least * share;
      fifo += first_in_first_out(scenario) / least * share;
    }
    const bool missed = mean > each.mean || worst > each.worst;
    held = held && !missed;
    std::printf("| %s | %s | %.3f / %.3f%s | %.2f / %.2f |", each.name.c_str(), each.work.c_str(), mean, worst,
                missed ? " (missed)" : "", each.mean, each.worst);
    for (const double other : {stride, tasks, longest, fifo}) std::printf(other > 0 ? " %.2f |" : " - |", other);
    std::printf(" %.1f %% | %.1f |\n", tail, 1e6 * wall / static_cast<double>(decisions));
    std::fflush(stdout);
  }
  return held ? 0 : 1;
}
