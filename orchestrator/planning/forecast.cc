#include "orchestrator/planning/forecast.h"

#include <algorithm>
#include <map>

#include "sharding/planning/tensor_parallel.h"
#include "sharding/protocol/gang_memory.h"

namespace proctor {
namespace {

constexpr double kUsable = 0.9;  // of a device's memory

DType dtype_of(const Work& work, ModuleId module) {
  const DType asked = work.suite.modules[module.value].dtype;
  return asked == DType::automatic ? dtype_from(work.facts[module.value].checkpoint_dtype).value_or(DType::float32)
                                   : asked;
}

const Ask& ask_of(const Work& work, const Shard& shard) {
  return work.requests_of(shard.module, shard.task).requests[shard.requests.front()].ask;
}

}  // namespace

std::string work_name_of(const Work& work, const Shard& shard) {
  return work_name(to_string(dtype_of(work, shard.module)), to_string(type_of(ask_of(work, shard))),
                   work.facts[shard.module.value].engine.name);
}

Predictor predictor_of(const Work& work, Calibration known) {
  const double threads = work.suite.machine.cpu_threads;
  return {
      work.device.kind, std::move(known), {work.device.float32_flops * threads, work.device.bfloat16_flops * threads}};
}

Forecast::Forecast(const Work& work, Predictor predictor)
    : work_(work), predictor_(std::move(predictor)), modules_(work.suite.modules.size()) {
  std::vector<LargestShard> largest(modules_.size());
  work.each_shard([&](const Shard& shard) {
    modules_[shard.module.value].run_s += shard_seconds(shard);
    LargestShard& of_module = largest[shard.module.value];
    of_module.tokens = std::max(of_module.tokens, shard.tokens);
    if (std::holds_alternative<Generate>(ask_of(work, shard)))
      of_module.generating = std::max(of_module.generating, shard.tokens);
  });
  for (std::uint32_t m = 0; m < modules_.size(); ++m) {
    const Module& module = work.suite.modules[m];
    const ModelFacts& facts = work.facts[m];
    ModuleForecast& forecast = modules_[m];
    if (!work.has_model(ModuleId{m})) continue;
    forecast.load_s = predictor_.load_seconds(static_cast<double>(facts.weight_bytes) / module.tensor_parallel);
    forecast.teardown_s = predictor_.teardown_seconds();
    forecast.memory = memory(m, module.tensor_parallel, largest[m]);
    const double usable = kUsable * static_cast<double>(work.device.bytes);
    if (work.device.bytes == 0 || module.engine || forecast.memory.all() <= usable) continue;
    forecast.needs_tensor_parallel = 0;
    for (std::uint32_t size = module.tensor_parallel + 1; size <= kMaxGangMembers; ++size)
      if (!cannot_split(facts, size) && memory(m, size, largest[m]).all() <= usable) {
        forecast.needs_tensor_parallel = size;
        break;
      }
  }
}

std::vector<CellForecast> Forecast::cells() const {
  std::vector<CellForecast> cells;
  const auto index = indices_of_cells();
  for (const Cell& cell : work_.cells) {
    CellForecast& forecast = cells.emplace_back();
    const std::vector<Request>& requests = work_.requests_of(cell.module, cell.task).requests;
    forecast.requests = requests.size();
    forecast.foreseen = work_.waits(cell.task);
    ModelFacts facts = work_.facts[cell.module.value];
    facts.vision = work_.vision_of(cell.module, cell.task);
    for (const Request& request : requests)
      for (const Part& part : request.parts) forecast.tokens += tokens_of(facts, part);
  }
  work_.each_shard([&](const Shard& shard) {
    CellForecast& forecast = cells[index.at({shard.module, shard.task})];
    ++forecast.shards;
    forecast.computed_tokens += shard.tokens;
    forecast.flops += shard.flops;
    forecast.run_s += shard_seconds(shard);
  });
  return cells;
}

std::map<std::pair<ModuleId, TaskId>, std::uint32_t> Forecast::indices_of_cells() const {
  std::map<std::pair<ModuleId, TaskId>, std::uint32_t> index;
  for (std::uint32_t c = 0; c < work_.cells.size(); ++c) index[{work_.cells[c].module, work_.cells[c].task}] = c;
  return index;
}

double Forecast::shard_seconds(const Shard& shard) const {
  if (!work_.has_model(shard.module)) return 0;  // rank 0 computes it beside its devices
  const auto parameters = static_cast<double>(work_.facts[shard.module.value].parameters);
  return predictor_.run_seconds(work_name_of(work_, shard), parameters, shard.flops) /
         work_.suite.modules[shard.module.value].tensor_parallel;
}

/// A batch holds no more than a shard, generation caches no more.
MemoryNeed Forecast::memory(std::uint32_t m, std::uint32_t tensor_parallel, const LargestShard& largest) const {
  const auto most = static_cast<double>(work_.max_batch_tokens[m]);
  const double bytes = dtype_of(work_, ModuleId{m}) == DType::float32 ? 4 : 2;
  const bool gpu = work_.device.kind != "cpu";
  return memory_need(work_.facts[m], bytes, tensor_parallel, std::min(most, largest.tokens),
                     std::min(cached_batches(gpu) * most, largest.generating), gpu);
}

std::vector<ModuleOutlook> Forecast::outlooks() const {
  std::vector<double> flops(modules_.size(), 0);
  work_.each_shard([&](const Shard& shard) { flops[shard.module.value] += shard.flops; });
  std::vector<ModuleOutlook> all;
  for (std::size_t m = 0; m < modules_.size(); ++m)
    all.push_back({work_.suite.modules[m].tensor_parallel, flops[m] > 0 ? modules_[m].run_s / flops[m] : 0,
                   modules_[m].load_s + modules_[m].teardown_s, work_.occupant_of(m)});
  return all;
}

/// The cells of models that a task's answers hang on: for one without a model those that it reads itself.
void Forecast::add_reads(const Task& task, std::vector<std::uint32_t>& reads) const {
  if (!task.upstream) return;
  for (const Source& source : task.upstream->sources) {
    const auto cell = static_cast<std::uint32_t>(index_of_cell(work_, source, task));
    if (work_.has_model(work_.cells[cell].module))
      reads.push_back(cell);
    else
      add_reads(work_.suite.tasks[work_.cells[cell].task.value], reads);
  }
}

Scenario Forecast::scenario(const std::vector<std::uint32_t>& nodes, const std::vector<bool>& answered) const {
  Scenario scenario;
  scenario.start_s = predictor_.start_seconds();
  for (std::uint32_t devices : nodes) scenario.nodes.push_back({std::vector<double>(devices, 1), 0});
  for (std::size_t m = 0; m < modules_.size(); ++m)
    scenario.modules.push_back(
        {work_.suite.modules[m].tensor_parallel, modules_[m].load_s, modules_[m].teardown_s, {}});
  const auto simulated = [&, index = indices_of_cells()](const Shard& shard) -> SimulatedShard {
    const double seconds = shard_seconds(shard);
    return {seconds, seconds, index.at({shard.module, shard.task})};
  };
  for (std::size_t s = 0; s < work_.shards.size(); ++s)
    if ((s >= answered.size() || !answered[s]) && work_.has_model(work_.shards[s].module))
      scenario.modules[work_.shards[s].module.value].shards.push_back(simulated(work_.shards[s]));
  for (std::uint32_t c = 0; c < work_.cells.size(); ++c) {
    const Task& task = work_.suite.tasks[work_.cells[c].task.value];
    if (!work_.waits(work_.cells[c].task) || !work_.has_model(work_.cells[c].module)) continue;
    SimulatedCell& cell = scenario.waiting.emplace_back(SimulatedCell{work_.cells[c].module, c, {}, {}});
    add_reads(task, cell.reads);
    for (const Shard& shard : work_.expected)
      if (shard.module == work_.cells[c].module && shard.task == work_.cells[c].task)
        cell.shards.push_back(simulated(shard));
  }
  double devices = 0, busy = 0;  // of all devices
  for (std::uint32_t node : nodes) devices += node;
  for (const SimulatedModule& module : scenario.modules) {
    busy += module.tensor_parallel * (module.load_s + module.teardown_s);
    for (const SimulatedShard& shard : module.shards) busy += module.tensor_parallel * shard.actual_s;
  }
  for (const SimulatedCell& cell : scenario.waiting)
    for (const SimulatedShard& shard : cell.shards)
      busy += scenario.modules[cell.module.value].tensor_parallel * shard.actual_s;
  scenario.expect_no_faults(busy / std::max(1.0, devices));
  return scenario;
}

}  // namespace proctor
