#include "tests/sharding/simulation/cases.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

#include "sharding/protocol/error.h"

namespace proctor::simulation {
namespace {

constexpr double kTarget = 4;  // seconds of a shard, as the planner cuts (sharding/planning/cost.h)
using Random = std::mt19937_64;

double between(Random& random, double low, double high) { return std::uniform_real_distribution(low, high)(random); }

/// `seconds` of work cut as plan_cell cuts: shards of the target, at most a quarter of the whole; the last tenth in
/// quarter-size ones. Bundles make sizes uneven: by a fifth.
std::vector<SimulatedShard> cut(double seconds, Random& random) {
  std::vector<SimulatedShard> shards;
  const double full = std::min(kTarget, seconds / 4);
  for (double planned = 0; planned < seconds;) {
    const double size = (planned < 0.9 * seconds ? full : full / 4) * between(random, 0.8, 1.2);
    const double shard = std::min(size, seconds - planned);
    planned += size;
    shards.push_back({shard, shard});
  }
  return shards;
}

std::vector<SimulatedNode> nodes(std::size_t devices, std::size_t a_node = 8) {
  std::vector<SimulatedNode> out(devices / a_node);
  for (SimulatedNode& node : out) node.speeds.assign(a_node, 1);
  return out;
}

std::size_t devices(const Scenario& scenario) {
  std::size_t n = 0;
  for (const SimulatedNode& node : scenario.nodes) n += node.speeds.size();
  return n;
}

enum class Sizes { even, uniform, lognormal };

/// `count` modules that share `seconds` of work of each device; uniform: 0.5 to 1.5 of the mean; lognormal: sigma 1.
Scenario modules(std::size_t count, double seconds, double load, std::vector<SimulatedNode> where, Sizes sizes,
                 std::vector<std::uint32_t> widths, Random& random) {
  Scenario scenario;
  scenario.nodes = std::move(where);
  std::vector<double> shares(count, 1);
  for (double& share : shares) {
    if (sizes == Sizes::uniform) share = between(random, 0.5, 1.5);
    if (sizes == Sizes::lognormal) share = std::lognormal_distribution(0.0, 1.0)(random);
  }
  const double all = std::accumulate(shares.begin(), shares.end(), 0.0);
  const double total = seconds * static_cast<double>(devices(scenario));
  for (std::size_t m = 0; m < count; ++m) {
    SimulatedModule module;
    module.tensor_parallel = widths[m % widths.size()];
    module.teardown_s = 0.2;
    module.load_s = load - module.teardown_s;
    module.shards = cut(total * shares[m] / all / module.tensor_parallel, random);
    scenario.modules.push_back(std::move(module));
  }
  return scenario;
}

/// One module; a fiftieth of the devices, one at least, at 0.7 of the speed.
Scenario one_module(std::size_t gpus, double seconds, bool some_slow, std::uint64_t seed) {
  Random random(seed);
  Scenario scenario = modules(1, seconds, 10, nodes(gpus), Sizes::even, {1}, random);
  for (std::size_t slow = some_slow ? std::max<std::size_t>(1, gpus / 50) : 0; slow > 0; --slow) {
    auto& speeds = scenario.nodes[random() % scenario.nodes.size()].speeds;
    speeds[random() % speeds.size()] = 0.7;
  }
  return scenario;
}

/// Every estimate wrong: half of it (in the logarithm) by module, half by shard, up to a factor of e.
void mislead(Scenario& scenario, Random& random) {
  for (SimulatedModule& module : scenario.modules) {
    const double common = between(random, -0.5, 0.5);
    for (SimulatedShard& shard : module.shards)
      shard.estimated_s = shard.actual_s * std::exp(common + between(random, -0.5, 0.5));
  }
}

/// When each device is free; gangs are aligned within a node.
class Devices {
 public:
  explicit Devices(const Scenario& scenario) {
    for (const SimulatedNode& node : scenario.nodes)
      speeds_.insert(speeds_.end(), node.speeds.begin(), node.speeds.end());
    free_.assign(speeds_.size(), 0);
    held_.assign(speeds_.size(), ~std::size_t{0});
  }
  std::size_t gangs(std::uint32_t width) const { return free_.size() / width; }
  double speed(std::size_t gang, std::uint32_t width) const {
    return *std::min_element(begin(speeds_, gang, width), begin(speeds_, gang + 1, width));
  }
  double free(std::size_t gang, std::uint32_t width) const {
    return *std::max_element(begin(free_, gang, width), begin(free_, gang + 1, width));
  }
  std::size_t first_free(std::uint32_t width) const {
    std::size_t best = 0;
    for (std::size_t gang = 1; gang < gangs(width); ++gang)
      if (free(gang, width) < free(best, width)) best = gang;
    return best;
  }
  void occupy(std::size_t gang, std::uint32_t width, double until) {
    for (std::size_t d = gang * width; d < (gang + 1) * width; ++d) free_[d] = until;
  }
  bool holds(std::size_t gang, std::uint32_t width, std::size_t module) {
    bool all = true;
    for (std::size_t d = gang * width; d < (gang + 1) * width; ++d)
      all = std::exchange(held_[d], module) == module && all;
    return all;
  }
  double last() const { return *std::ranges::max_element(free_); }

 private:
  static std::vector<double>::const_iterator begin(const std::vector<double>& of, std::size_t gang,
                                                   std::uint32_t width) {
    return of.begin() + static_cast<std::ptrdiff_t>(gang * width);
  }
  std::vector<double> speeds_, free_;
  std::vector<std::size_t> held_;
};

}  // namespace

/// A pipeline: in each of some steps some modules work on what one of the step before answered; all of the last step
/// are judged by one.
Scenario chain(std::uint64_t seed) {
  Random random(seed);
  Scenario scenario;
  const std::size_t gpus = std::size_t{1} << (random() % 4);
  scenario.nodes = nodes(gpus, gpus);
  std::vector<std::uint32_t> before;  // cells of the step before
  std::uint32_t cell = 0;
  const auto module = [&]() -> SimulatedModule& {
    SimulatedModule& one = scenario.modules.emplace_back();
    one.teardown_s = 0.2;
    one.load_s = between(random, 5, 30);
    return one;
  };
  const auto shards = [&](double seconds) {
    std::vector<SimulatedShard> all = cut(seconds, random);
    for (SimulatedShard& shard : all) shard.cell = cell;
    return all;
  };
  const double seconds = between(random, 100, 400) * static_cast<double>(gpus);  // of a cell, about
  for (std::size_t step = 0, steps = 2 + random() % 3; step < steps; ++step) {
    std::vector<std::uint32_t> here;
    const std::uint32_t read = before.empty() ? 0 : before[random() % before.size()];
    for (std::size_t m = 0, modules = 1 + random() % 3; m < modules; ++m) {
      SimulatedModule& one = module();
      const ModuleId id{static_cast<std::uint32_t>(scenario.modules.size() - 1)};
      if (step == 0)
        one.shards = shards(seconds * between(random, 0.5, 1.5));
      else
        scenario.waiting.push_back({id, cell, {read}, shards(seconds * between(random, 0.5, 1.5))});
      here.push_back(cell++);
    }
    before = here;
  }
  module();
  const ModuleId judge{static_cast<std::uint32_t>(scenario.modules.size() - 1)};
  for (const std::uint32_t read : before) {
    scenario.waiting.push_back({judge, cell, {read}, shards(seconds * between(random, 0.1, 0.4))});
    ++cell;
  }
  scenario.expect_no_faults(seconds);
  return scenario;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const auto& [seconds, mean, worst] : {std::tuple(300.0, 1.02, 1.03), std::tuple(60.0, 1.04, 1.06)})
    for (std::size_t gpus : {8u, 64u, 512u, 4096u})
      for (bool slow : {false, true})
        all.push_back(
            {"1 module, " + std::to_string(gpus) + " GPUs, " + std::to_string(static_cast<int>(seconds)) + " s a GPU" +
                 (slow ? ", 2 % at 0.7x" : ""),
             "10 s loads", mean, worst, gpus > 1000 ? 3u : 30u,
             [gpus, slow, work = seconds](std::uint64_t seed) { return one_module(gpus, work, slow, seed); }});
  const auto several = [&](const std::string& name, std::size_t count, double seconds, std::size_t gpus, Sizes sizes,
                           double mean, double worst) {
    const std::string how = sizes == Sizes::uniform ? "sizes 0.5 to 1.5 of the mean" : "lognormal sizes (sigma 1)";
    all.push_back({name, how + ", 30 s loads", mean, worst, 30, [=](std::uint64_t seed) {
                     Random random(seed);
                     return modules(count, seconds, 30, nodes(gpus), sizes, {1}, random);
                   }});
  };
  several("24 modules, 8 GPUs, 1,000 s a GPU", 24, 1000, 8, Sizes::uniform, 1.03, 1.05);
  several("24 modules, 8 GPUs, 300 s a GPU", 24, 300, 8, Sizes::lognormal, 1.06, 1.08);
  several("12 modules, 64 GPUs, 300 s a GPU", 12, 300, 64, Sizes::uniform, 1.08, 1.10);
  several("200 modules, 64 GPUs, 1,000 s a GPU", 200, 1000, 64, Sizes::lognormal, 1.08, 1.10);
  const auto mixed = [](Random& random) {
    return modules(12, 300, 30, nodes(32), Sizes::uniform, {1, 2, 4, 8}, random);
  };
  all.push_back({"TP 1/2/4/8 mixed, 4 nodes of 8, 300 s a GPU", "12 modules, sizes 0.5 to 1.5 of the mean, 30 s loads",
                 1.09, 1.12, 30, [=](std::uint64_t seed) {
                   Random random(seed);
                   return mixed(random);
                 }});
  all.push_back({"the same, a wide gang broken by a crash",
                 "a device of the first node, which holds a gang of 8, at 40 to 110 s", 1.12, 1.16, 30,
                 [=](std::uint64_t seed) {
                   Random random(seed);
                   Scenario scenario = mixed(random);
                   InjectedFault crash;
                   crash.at = between(random, 40, 110);
                   crash.slot = {AgentId{0}, static_cast<std::uint32_t>(random() % 8)};
                   scenario.faults.push_back(crash);
                   return scenario;
                 }});
  all.push_back({"estimates wrong by up to e, 1 of 8 GPUs at half speed, 300 s a GPU",
                 "4 modules, sizes 0.5 to 1.5 of the mean, 10 s loads", 1.05, 1.10, 30, [](std::uint64_t seed) {
                   Random random(seed);
                   Scenario scenario = modules(4, 300, 10, nodes(8), Sizes::uniform, {1}, random);
                   mislead(scenario, random);
                   scenario.nodes[0].speeds[random() % 8] = 0.5;
                   return scenario;
                 }});
  all.push_back({"chains: 2 to 4 steps of 1 to 3 modules and a judge, 1 to 8 GPUs, 100 to 400 s a GPU and cell",
                 "loads 5 to 30 s", 1.05, 1.15, 30, chain});
  return all;
}

double static_stride(const Scenario& scenario) {
  const Devices devices(scenario);
  double now = 0;
  for (const SimulatedModule& module : scenario.modules) {
    const std::size_t gangs = devices.gangs(module.tensor_parallel);
    std::vector<double> busy(gangs, 0);
    for (std::size_t s = 0; s < module.shards.size(); ++s)
      busy[s % gangs] += module.shards[s].actual_s / devices.speed(s % gangs, module.tensor_parallel);
    now += module.load_s + module.teardown_s + *std::ranges::max_element(busy);
  }
  return now;
}

double whole_tasks(const Scenario& scenario, bool longest_first) {
  struct Job {
    double seconds;
    const SimulatedModule* module;
  };
  std::vector<Job> jobs;
  for (const SimulatedModule& module : scenario.modules)
    for (std::size_t task = 0; task < kTasks; ++task) {
      const std::size_t begin = module.shards.size() * task / kTasks, end = module.shards.size() * (task + 1) / kTasks;
      double seconds = 0;
      for (std::size_t s = begin; s < end; ++s) seconds += module.shards[s].actual_s;
      if (begin < end) jobs.push_back({seconds, &module});
    }
  if (longest_first) std::ranges::stable_sort(jobs, std::greater(), &Job::seconds);
  Devices devices(scenario);
  for (const Job& job : jobs) {
    const std::uint32_t width = job.module->tensor_parallel;
    const std::size_t gang = devices.first_free(width);
    devices.occupy(gang, width,
                   devices.free(gang, width) + job.module->load_s + job.module->teardown_s +
                       job.seconds / devices.speed(gang, width));
  }
  return devices.last();
}

double first_in_first_out(const Scenario& scenario) {
  Devices devices(scenario);
  for (std::size_t m = 0; m < scenario.modules.size(); ++m) {
    const SimulatedModule& module = scenario.modules[m];
    const std::uint32_t width = module.tensor_parallel;
    using Free = std::pair<double, std::size_t>;  // when, which gang
    std::vector<Free> free;
    for (std::size_t gang = 0; gang < devices.gangs(width); ++gang) free.emplace_back(devices.free(gang, width), gang);
    std::ranges::make_heap(free, std::greater());
    for (const SimulatedShard& shard : module.shards) {
      std::ranges::pop_heap(free, std::greater());
      auto& [when, gang] = free.back();
      if (!devices.holds(gang, width, m)) when += module.load_s + module.teardown_s;
      when += shard.actual_s / devices.speed(gang, width);
      devices.occupy(gang, width, when);
      std::ranges::push_heap(free, std::greater());
    }
  }
  return devices.last();
}

Replay read_run(const std::string& directory) {
  const auto rows = [&](const char* file) {
    std::ifstream stream(directory + "/" + file);
    std::vector<nlohmann::json> all;
    for (std::string line; std::getline(stream, line);)
      if (auto row = nlohmann::json::parse(line, nullptr, false); row.is_object()) all.push_back(std::move(row));
    if (all.empty()) throw UsageError(directory + "/" + file + ": is missing or empty; --replay takes a finished run");
    return all;
  };
  Replay replay;
  std::map<std::string, std::size_t> modules;
  std::map<std::size_t, std::vector<double>> loads;
  std::map<int, int> devices;  // of each node
  double first = std::numeric_limits<double>::infinity();
  for (const auto& row : rows("ledger.jsonl")) {
    const std::size_t m = modules.emplace(row.at("module"), modules.size()).first->second;
    replay.scenario.modules.resize(modules.size());
    replay.scenario.modules[m].tensor_parallel = row.at("members");
    replay.scenario.modules[m].teardown_s = row.at("teardown_s");
    loads[m].push_back(row.at("load_s"));
    int node = 0, slot = 0;
    std::sscanf(row.at("worker").get<std::string>().c_str(), "%d.%d", &node, &slot);
    devices[node] = std::max(devices[node], slot + 1);
    first = std::min(first, row.at("opened_s").get<double>());
    replay.seconds = std::max(replay.seconds, row.at("closed_s").get<double>());
  }
  replay.seconds -= first;
  replay.scenario.start_s = 0;
  for (const auto& [m, seconds] : loads)
    replay.scenario.modules[m].load_s =
        std::accumulate(seconds.begin(), seconds.end(), 0.0) / static_cast<double>(seconds.size());
  for (const auto& [node, count] : devices)
    replay.scenario.nodes.push_back({std::vector<double>(static_cast<std::size_t>(count), 1), 0});
  double flops = 0, seconds = 0;
  const auto turns = rows("turns.jsonl");
  for (const auto& turn : turns)
    flops += turn.at("flops_estimated").get<double>(), seconds += turn.at("run_s").get<double>();
  for (const auto& turn : turns)
    replay.scenario.modules[modules.at(turn.at("module"))].shards.push_back(
        {turn.at("flops_estimated").get<double>() * seconds / flops, turn.at("run_s")});
  return replay;
}

}  // namespace proctor::simulation
