#include "orchestrator/report/plan_report.h"

#include <algorithm>

#include "orchestrator/base/formatted.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

constexpr std::uint32_t kDevicesOfNode = 8;
constexpr double kGiB = 1 << 30;

std::string cells_table(const Work& work, const Forecast& forecast) {
  std::string text = formatted("%-48s %10s %8s %14s %14s %10s %10s\n", "module / task", "requests", "shards",
                               "tokens (est.)", "after sharing", "TFLOP", "run s");
  const std::vector<CellForecast> cells = forecast.cells();
  bool any_foreseen = false;
  for (std::size_t p = 0; p < work.cells.size(); ++p) {
    const CellForecast& cell = cells[p];
    const std::string name = name_of(work, work.cells[p]);
    const std::string requests = (cell.foreseen ? "~" : "") + std::to_string(cell.requests);
    text += formatted("%-48s %10s %8zu %14.0f %14.0f %10.2f %10.1f\n", name.c_str(), requests.c_str(), cell.shards,
                      cell.tokens, cell.computed_tokens, cell.flops / 1e12, cell.run_s);
    any_foreseen = any_foreseen || cell.foreseen;
  }
  if (any_foreseen) text += "~ over answers that are not here yet: figures are as they could come out\n";
  return text;
}

std::string modules_table(const Work& work, const Forecast& forecast) {
  std::string text = formatted("%-24s %4s %8s %10s %10s   %s\n", "module", "TP", "load s", "run s", "teardown s",
                               "GiB of each device: weights + keys and values + activations + communicator = all");
  for (std::uint32_t m = 0; m < work.suite.modules.size(); ++m) {
    const Module& module = work.suite.modules[m];
    if (!work.has_model(ModuleId{m})) {
      text += formatted("%-24s    - no model (%s): computed beside the devices, on rank 0\n", module.name.c_str(),
                        module.kind.c_str());
      continue;
    }
    const ModuleForecast& one = forecast.module(ModuleId{m});
    text += formatted("%-24s %4u %8.2f %10.1f %10.2f   %.2f + %.2f + %.2f + %.2f = %.2f", module.name.c_str(),
                      module.tensor_parallel, one.load_s, one.run_s, one.teardown_s, one.memory.weights / kGiB,
                      one.memory.cache / kGiB, one.memory.activations / kGiB, one.memory.communicator / kGiB,
                      one.memory.all() / kGiB);
    if (work.device.bytes > 0) text += formatted(" of %.1f", static_cast<double>(work.device.bytes) / kGiB);
    if (one.needs_tensor_parallel)
      text += *one.needs_tensor_parallel
                  ? formatted("; does not fit: set tensor_parallel to %u", *one.needs_tensor_parallel)
                  : std::string("; does not fit at any tensor_parallel");
    text += formatted(
        "\n%-24s      %s, %llu M parameters, max_batch_tokens %lld, max_length %lld\n", "",
        work.facts[m].architecture.c_str(), static_cast<unsigned long long>(work.facts[m].parameters / 1000000),
        static_cast<long long>(work.max_batch_tokens[m]), static_cast<long long>(work.facts[m].max_length));
  }
  return text;
}

Outcome simulate_plan(const Work& work, const Scenario& scenario, std::uint32_t gpus) {
  for (const Module& module : work.suite.modules)
    if (module.tensor_parallel > gpus)
      throw EnvironmentError("module " + module.name + ": tensor_parallel " + std::to_string(module.tensor_parallel) +
                             " needs as many devices, --gpus has " + std::to_string(gpus));
  Outcome outcome = simulate(scenario);
  if (!outcome.violations.empty()) throw EnvironmentError("this plan cannot end: " + outcome.violations.front());
  return outcome;
}

}  // namespace

std::vector<std::uint32_t> as_nodes(std::uint32_t devices) {
  std::vector<std::uint32_t> nodes;
  for (; devices > 0; devices -= nodes.back()) nodes.push_back(std::min(devices, kDevicesOfNode));
  return nodes;
}

std::string plan_report(const Work& work, const Forecast& forecast, const std::vector<std::uint32_t>& gpus,
                        const std::string& source, std::optional<double> gpu_hour) {
  std::string text = cells_table(work, forecast) + "\n" + modules_table(work, forecast) + "\n";
  text += formatted("%8s %12s %14s %12s %8s%s\n", "devices", "makespan", "lower bound", "utilisation", "visits",
                    gpu_hour ? "         cost" : "");
  for (std::uint32_t n : gpus) {
    const Scenario scenario = forecast.scenario(as_nodes(n));
    const Outcome outcome = simulate_plan(work, scenario, n);
    const double cost = gpu_hour.value_or(0) * n * outcome.makespan / 3600;
    text += formatted("%8u %12s %14s %10.1f %% %8zu%s\n", n, duration_text(outcome.makespan).c_str(),
                      duration_text(least_makespan(scenario)).c_str(),
                      100 * outcome.computed_s / (n * std::max(outcome.makespan, 1e-9)), outcome.visits.size(),
                      gpu_hour ? formatted(" %12.4g", cost).c_str() : "");
  }
  return text + "devices of kind " + work.device.kind + "; " + source +
         "\ntokens are estimated from bytes; utilisation is time computing; nodes of 8 devices\n";
}

Timeline plan_timeline(const Work& work, const Forecast& forecast, std::uint32_t gpus) {
  const std::vector<std::uint32_t> nodes = as_nodes(gpus);
  const Outcome outcome = simulate_plan(work, forecast.scenario(nodes), gpus);
  Timeline timeline;
  timeline.title =
      work.suite.name + " on " + counted(gpus, "device") + ", as planned: " + duration_text(outcome.makespan);
  timeline.seconds = outcome.makespan;
  for (const Module& module : work.suite.modules) timeline.modules.push_back(module.name);
  for (std::uint32_t n = 0; n < nodes.size(); ++n)
    for (std::uint32_t slot = 0; slot < nodes[n]; ++slot) timeline.devices.push_back({AgentId{n}, slot});
  for (const SimulatedVisit& visit : outcome.visits)
    for (SlotId member : visit.members) {
      const auto add = [&](double begin, double end, TimelineSpan::What what) {
        timeline.spans.push_back({member, begin, end, what, visit.module.value});
      };
      add(visit.opened, visit.loaded, TimelineSpan::What::load);
      add(visit.loaded, visit.closing, TimelineSpan::What::run);
      add(visit.closing, visit.closed, TimelineSpan::What::teardown);
    }
  return timeline;
}

}  // namespace proctor
