#include "orchestrator/commands/plan.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <ostream>

#include "orchestrator/base/cache_folder.h"
#include "orchestrator/base/machine.h"
#include "orchestrator/base/signals.h"
#include "orchestrator/base/tell.h"
#include "orchestrator/commands/start_engines.h"
#include "orchestrator/commands/worker_facts.h"
#include "orchestrator/images/image_files.h"
#include "orchestrator/planning/calibration_file.h"
#include "orchestrator/planning/forecast.h"
#include "orchestrator/report/plan_report.h"
#include "orchestrator/report/timeline.h"
#include "orchestrator/sidecar/chat_renderer.h"
#include "orchestrator/sidecar/engine_program.h"
#include "orchestrator/sidecar/sidecar_tables.h"
#include "orchestrator/store/run_directory.h"
#include "orchestrator/suite/suite_file.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

/// The devices of a plan: a finished run's, this machine's, or, for --device cuda where there is none, a GPU's.
class PlannedFacts final : public FactSource {
 public:
  PlannedFacts(const PlanOptions& options, Deadlines::Seconds deadline, std::optional<DeviceFacts> known)
      : worker_(options.device, deadline), options_(options), known_(std::move(known)) {}
  ModelFacts check(const Module& module) override { return worker_.check(module); }
  std::vector<CheckedModule> check_each(std::span<const Module> modules) override {
    return worker_.check_each(modules);
  }
  DeviceFacts probe() override {
    DeviceFacts facts = device();
    if (const std::uint64_t limit = options_.memory_limit_bytes; limit > 0)
      facts.bytes = facts.bytes > 0 ? std::min(facts.bytes, limit) : limit;
    return facts;
  }

 private:
  DeviceFacts device() {
    if (known_) return *known_;
    try {
      return worker_.probe();
    } catch (const Error& error) {
      if (options_.device != "cuda" || error.fault() != Fault::environment) throw;
    }
    DeviceFacts assumed;
    assumed.kind = "GPU (assumed: none is here)";
    return assumed;
  }
  WorkerFacts worker_;
  const PlanOptions& options_;
  std::optional<DeviceFacts> known_;
};

std::vector<std::uint32_t> devices_to_plan_for(const PlanOptions& options, const Work& work) {
  if (!options.gpus.empty()) return options.gpus;
  if (options.workers) return {*options.workers};
  if (work.suite.machine.workers) return {*work.suite.machine.workers};
  return {work.device.kind == "cpu" ? std::max(1u, usable_cores() / work.suite.machine.cpu_threads)
                                    : work.device.count};
}

/// A folder of this process's own.
std::string engine_logs() {
  return (std::filesystem::temp_directory_path() / ("proctor-engines-" + std::to_string(getpid()))).string();
}

}  // namespace

void plan(const PlanOptions& options, std::ostream& out) {
  install_ending_signals();
  const NothingBegun nothing;
  std::optional<DeviceFacts> device;
  Calibration known;
  std::string source;
  if (!options.calibrated_by.empty()) {
    RunCalibration run = calibration_of_run(options.calibrated_by);
    device = std::move(run.device);
    known = std::move(run.measured);
    source = "times as measured by " + options.calibrated_by;
  }
  SuiteFile file = read_suite(options.suite, options.settings);
  const auto note = [&](const std::string& text) {
    if (!options.quiet) tell("proctor: " + text);
  };
  for (const std::string& text : file.notes) note(text);
  if (talks(file.suite)) set_chat_date(file, today());
  resolve_engines(file.suite.modules, file.suite.machine.python,
                  options.allow_engines ? AllowEngines::yes : AllowEngines::no);
  PlannedFacts facts(options, file.suite.deadlines.load, device);
  LazySidecar sidecar(file.suite.machine.python);
  ChatRenderer renderer(sidecar);
  SidecarTables tables(sidecar);
  ImageFiles images(cache_folder().empty() ? cache_folder() : cache_folder() / "images");
  const Work work = prepare_work(std::move(file.suite), options.limit, facts, {&renderer, &tables, nullptr, &images});
  for (const std::string& text : work.notes) note(text);
  if (source.empty()) {
    known = read_calibration(calibration_path(), work.device.kind);
    source = known.runs.empty()
                 ? "nothing is known of such devices yet, so times are rough: a run, or --calibrated-by, "
                   "makes them good"
                 : "times as learned by runs (" + calibration_path().string() + ")";
  }
  const Forecast forecast(work, predictor_of(work, known));
  const std::vector<std::uint32_t> gpus = devices_to_plan_for(options, work);
  out << plan_report(work, forecast, gpus, source, options.gpu_hour);
  if (options.start_engines) out << "\n" << start_engines(work, engine_logs()) << std::flush;
  if (!options.svg.empty()) write_output(options.svg, timeline_svg(plan_timeline(work, forecast, gpus.front())));
}

}  // namespace proctor
