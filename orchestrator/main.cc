// proctor: one binary for every rank. Rank 0 prepares, orchestrates and reports; the others are node agents.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <set>

#include "orchestrator/agent_rank.h"
#include "orchestrator/calibration_file.h"
#include "orchestrator/exit_code.h"
#include "orchestrator/forecast.h"
#include "orchestrator/machine.h"
#include "orchestrator/mpi_session.h"
#include "orchestrator/options.h"
#include "orchestrator/orchestrator.h"
#include "orchestrator/plan_report.h"
#include "orchestrator/show.h"
#include "orchestrator/signals.h"
#include "orchestrator/store_fault_hook.h"
#include "orchestrator/suite_file.h"

namespace proctor {

std::string worker_binary_path() {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "proctor-worker").string();
}

namespace {

/// Asks the worker binary; its words and exit code come back as an Error of the same kind.
class WorkerFacts final : public FactSource {
 public:
  WorkerFacts(std::string device, Deadlines::Seconds deadline) : device_(std::move(device)), deadline_(deadline) {}
  ModelFacts check(const Module& module) override {
    return ask({"check", module.path, "--module", nlohmann::json(module).dump()}).get<ModelFacts>();
  }
  DeviceFacts probe() override { return ask({"probe", "--device", device_}).get<DeviceFacts>(); }

 private:
  nlohmann::json ask(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), worker_binary_path());
    const CommandResult result = ask_command(arguments, deadline_);
    if (result.status == 0) return nlohmann::json::parse(result.output);
    std::string message = result.error.substr(0, result.error.find_last_not_of('\n') + 1);
    if (message.starts_with("proctor-worker: ")) message.erase(0, 16);
    const Fault fault = result.status == kUsage         ? Fault::usage
                        : result.status == kEnvironment ? Fault::environment
                        : result.status == kInput       ? Fault::input
                                                        : Fault::internal;
    throw Error(fault, message.empty()
                           ? arguments[0] + " " + arguments[1] + " failed with status " + std::to_string(result.status)
                           : message);
  }
  std::string device_;
  Deadlines::Seconds deadline_;
};

std::string default_directory(const Suite& suite) {
  const char* index = std::getenv("SLURM_ARRAY_TASK_ID");
  return "runs/" + suite.name + (index ? std::string("-") + index : "");
}

/// Modules and tasks that the suite no longer has leave the results.
void remove_leftovers(const RunDirectory& directory, const Work& work) {
  std::set<std::filesystem::path> wanted;
  for (const Pair& pair : work.pairs) {
    if (task_type_of(work.suite.tasks[pair.task.value]).is_scored())
      wanted.insert(directory.results(work.suite.modules[pair.module.value].name));
    wanted.insert(answers_file(directory, work.suite, pair));
  }
  for (const char* part : {"results", "samples", "responses"})
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory.root() / part))
      if (entry.is_regular_file() && !wanted.contains(entry.path())) std::filesystem::remove(entry.path());
}

void tell(const std::string& message) { std::fprintf(stderr, "%s\n", message.c_str()); }

int run_suite(const RunOptions& options, MpiSession& mpi) {
  SuiteFile file = read_suite(options.suite, options.settings);
  if (mpi.ranks_on_node() > 1 && !options.workers && !file.suite.machine.workers)
    throw UsageError(std::to_string(mpi.ranks_on_node()) +
                     " ranks share a node, so 'auto' cannot tell how many workers each may have; give --workers N (per "
                     "rank), or start one rank per node");
  if (const std::string idle = idle_nodes(mpi.size()); !idle.empty()) tell("proctor: " + idle);
  for (const std::string& note : file.notes) tell("proctor: " + note);
  const RunDirectory directory(options.out.empty() ? default_directory(file.suite) : options.out);
  WorkerFacts facts(options.device, file.suite.deadlines.load);
  const Work work = prepare_work(std::move(file.suite), options.limit, facts);
  LockPatience patience;
  patience.give_up = [] { return asked() != Asked::nothing; };
  if (options.fresh && std::filesystem::exists(directory.root())) {
    const RunLock lock(directory, patience, tell);  // a live run keeps its directory
    directory.set_aside();
  }
  directory.refuse_foreign();
  directory.create();
  RunLock lock(directory, patience, tell);
  const bool begun = std::filesystem::exists(directory.suite());
  if (begun && !std::filesystem::exists(directory.database()))
    throw EnvironmentError(
        directory.database().string() +
        ": is missing beside suite.yaml, so its answers are lost; put it back, or use --fresh to begin anew");
  std::optional<KeptBeating> beating(lock);
  RunStore store(directory.database().string(), begun ? RunStore::Open::existing : RunStore::Open::new_or_existing,
                 store_vfs());
  lock.verify();
  Resumed resumed = resume(store, work, options.redo_changed);
  remove_leftovers(directory, work);
  write_file(directory.suite(), file.resolved);
  beating.reset();
  Orchestrator orchestrator(work, options, directory, store, lock, mpi, std::move(resumed));
  return orchestrator.run();
}

/// The devices of a plan: a finished run's, this machine's, or, for --device cuda where there is none, a GPU's.
class PlannedFacts final : public FactSource {
 public:
  PlannedFacts(std::string device, Deadlines::Seconds deadline, std::optional<DeviceFacts> known)
      : worker_(device, deadline), device_(std::move(device)), known_(std::move(known)) {}
  ModelFacts check(const Module& module) override { return worker_.check(module); }
  DeviceFacts probe() override {
    if (known_) return *known_;
    try {
      return worker_.probe();
    } catch (const Error& error) {
      if (device_ != "cuda" || error.fault() != Fault::environment) throw;
    }
    DeviceFacts assumed;
    assumed.kind = "GPU (assumed: none is here)";
    return assumed;
  }

 private:
  WorkerFacts worker_;
  std::string device_;
  std::optional<DeviceFacts> known_;
};

std::vector<std::uint32_t> devices_to_plan_for(const Options& options, const Work& work) {
  if (!options.plan.gpus.empty()) return options.plan.gpus;
  if (options.run.workers) return {*options.run.workers};
  if (work.suite.machine.workers) return {*work.suite.machine.workers};
  return {work.device.kind == "cpu" ? std::max(1u, usable_cores() / work.suite.machine.cpu_threads)
                                    : work.device.count};
}

void plan_suite(const Options& options) {
  std::optional<DeviceFacts> device;
  Calibration known;
  std::string source;
  if (!options.plan.calibrated_by.empty()) {
    RunCalibration run = calibration_of_run(options.plan.calibrated_by);
    device = std::move(run.device);
    known = std::move(run.measured);
    source = "times as measured by " + options.plan.calibrated_by;
  }
  SuiteFile file = read_suite(options.run.suite, options.run.settings);
  for (const std::string& note : file.notes) tell("proctor: " + note);
  PlannedFacts facts(options.run.device, file.suite.deadlines.load, device);
  const Work work = prepare_work(std::move(file.suite), options.run.limit, facts);
  if (source.empty()) {
    known = read_calibration(calibration_path(), work.device.kind);
    source = known.runs.empty()
                 ? "nothing is known of such devices yet, so times are rough: a run, or --calibrated-by, "
                   "makes them good"
                 : "times as learned by runs (" + calibration_path().string() + ")";
  }
  const Forecast forecast(work, {work.device.kind, known});
  const std::vector<std::uint32_t> gpus = devices_to_plan_for(options, work);
  std::cout << plan_report(work, forecast, gpus, source);
  if (!options.plan.svg.empty())
    write_file(options.plan.svg, timeline_svg(plan_timeline(work, forecast, gpus.front())));
}

int run_ranks(int argc, char** argv, const RunOptions& options) {
  install_signals(under_launcher());  // first: MPI_Init takes a while, and a signal may come early
  MpiSession mpi(argc, argv);
  if (mpi.rank() != 0) return run_agent(mpi, worker_binary_path());
  try {
    const int code = run_suite(options, mpi);
    mpi.finalize();
    return code;
  } catch (const std::exception&) {
    for (int rank = 1; rank < mpi.size(); ++rank) mpi.send(rank, encode(AgentOrder(LeaveNode{true})));
    throw;
  }
}

int run(int argc, char** argv) {
  const Options options = parse_options(argc, argv);
  switch (options.command) {
    case Options::Command::run:
      return run_ranks(argc, argv, options.run);  // whose code tells of what is stored, not of the table
    case Options::Command::plan:
      plan_suite(options);
      break;
    case Options::Command::show:
      show(options.show, std::cout);
      break;
    case Options::Command::help:
      std::cout << options.help;
      break;
  }
  if (!std::cout.flush()) throw EnvironmentError("standard output cannot be written");
  return kDone;
}

}  // namespace
}  // namespace proctor

int main(int argc, char** argv) {
  const bool speaks = proctor::launcher_rank() == 0;
  try {
    return proctor::run(argc, argv);
  } catch (const proctor::StoreFailure& error) {
    if (speaks) std::fprintf(stderr, "proctor: %s%s\n", error.what(), proctor::kMakeRoom);
    return proctor::kStoppedEarly;
  } catch (const proctor::Error& error) {
    if (speaks) std::fprintf(stderr, "proctor: %s\n", error.what());
    return proctor::exit_code(error.fault());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "proctor: internal error: %s\n", error.what());
    return proctor::kInternal;
  }
}
