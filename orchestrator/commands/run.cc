#include "orchestrator/commands/run.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <optional>

#include "orchestrator/base/exit_code.h"
#include "orchestrator/base/machine.h"
#include "orchestrator/base/signals.h"
#include "orchestrator/base/tell.h"
#include "orchestrator/commands/worker_facts.h"
#include "orchestrator/images/image_files.h"
#include "orchestrator/planning/calibration_file.h"
#include "orchestrator/ranks/agent_rank.h"
#include "orchestrator/ranks/launcher.h"
#include "orchestrator/ranks/mpi_session.h"
#include "orchestrator/ranks/mpi_transport.h"
#include "orchestrator/ranks/worker_process.h"
#include "orchestrator/run/leftovers.h"
#include "orchestrator/run/orchestrator.h"
#include "orchestrator/sidecar/chat_renderer.h"
#include "orchestrator/sidecar/engine_program.h"
#include "orchestrator/sidecar/sidecar_metrics.h"
#include "orchestrator/sidecar/sidecar_tables.h"
#include "orchestrator/store/store_fault_hook.h"
#include "orchestrator/suite/suite_file.h"

namespace proctor {
namespace {

std::string default_directory(const Suite& suite) {
  const char* index = std::getenv("SLURM_ARRAY_TASK_ID");
  return "runs/" + suite.name + (index ? std::string("-") + index : "");
}

void refuse_code(const Suite& suite) {
  for (const Task& task : suite.tasks)
    for (const Metric& metric : task.metrics)
      if (!metric.code.empty())
        throw UsageError("task " + task.name + ": metric " + metric.name + " is Python (" + metric.code +
                         "), which runs only with --allow-code");
}

/// What prepares the work; tasks over answers are prepared while it runs.
struct Preparation {
  explicit Preparation(const std::string& python) : sidecar(python), renderer(sidecar), tables(sidecar) {}
  LazySidecar sidecar;
  ChatRenderer renderer;
  SidecarTables tables;
};

/// What is worth knowing of the work before it begins.
void tell_notes(const Work& work, const RunOptions& options, const std::function<void(const std::string&)>& say) {
  for (const std::string& note : work.notes) say("proctor: " + note);
  for (std::size_t m = 0; m < work.facts.size(); ++m)
    for (const std::string& note : work.facts[m].notes)
      say("proctor: module " + work.suite.modules[m].name + ": " + note);
  if (options.tells_device && options.device == "auto" && work.device.kind == "cpu")
    say("proctor: no GPU was found, so the CPU computes (--device cpu says so, --device cuda refuses it)");
}

void tell_kept(const std::vector<std::string>& modules, const std::function<void(const std::string&)>& say) {
  std::string names;
  for (const std::string& name : modules) names += (names.empty() ? "" : ", ") + name;
  if (!names.empty()) say("proctor: the suite no longer has " + names + "; the results stay, --prune removes them");
}

}  // namespace

int run_suite(const RunOptions& options, MpiSession& mpi, std::ostream& results, Notices* notices) {
  const auto say = [&](const std::string& message) {
    if (!options.quiet) tell(message);
  };
  std::optional<NothingBegun> preparing(std::in_place);
  SuiteFile file = read_suite(options.suite, options.settings);
  if (mpi.ranks_on_node() > 1 && !options.workers && !file.suite.machine.workers)
    throw UsageError(std::to_string(mpi.ranks_on_node()) + " ranks share a node" + kNoAutomaticWorkers);
  if (const std::string idle = idle_nodes(mpi.size()); !idle.empty()) say("proctor: " + idle);
  for (const std::string& note : file.notes) say("proctor: " + note);
  const RunDirectory directory(options.out.empty() ? default_directory(file.suite) : options.out);
  if (notices) notices->about(file.suite.name, std::filesystem::absolute(directory.root()).string());
  if (talks(file.suite))
    set_chat_date(file, options.fresh ? today() : chat_date_in(directory.suite().string()).value_or(today()));
  WorkerFacts facts(options.device, file.suite.deadlines.load);
  if (!options.allow_code) refuse_code(file.suite);
  resolve_engines(file.suite.modules, file.suite.machine.python,
                  options.allow_engines ? AllowEngines::yes : AllowEngines::no);
  LazySidecar for_metrics(file.suite.machine.python);
  SidecarMetrics code(for_metrics);
  directory.refuse_foreign();  // images that come as bytes are written there
  ImageFiles images(directory.images());
  std::optional<Preparation> preparation(file.suite.machine.python);
  Interpreters interpreters{&preparation->renderer, &preparation->tables, &code, &images};
  Work work = prepare_work(std::move(file.suite), options.limit, facts, interpreters);
  if (work.waiting.empty()) preparation.reset(), interpreters = {};
  tell_notes(work, options, say);
  preparing.reset();
  LockPatience patience;
  patience.give_up = [] { return asked() != Asked::nothing; };
  if (options.fresh && std::filesystem::exists(directory.root())) {
    const RunLock lock(directory, patience, say);  // a live run keeps its directory
    directory.set_aside();
  }
  directory.create();
  RunLock lock(directory, patience, say);
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
  tell_kept(remove_leftovers(directory, work, store, options.prune ? GoneModules::remove : GoneModules::keep), say);
  write_file(directory.suite(), file.resolved);
  beating.reset();
  MpiTransport transport(mpi, worker_binary_path(), work.device);
  const auto begin = std::chrono::steady_clock::now();
  const auto now = [begin]() -> Moment { return std::chrono::steady_clock::now() - begin; };
  Orchestrator orchestrator(work, options, directory, store, &lock,
                            {transport, now, asked, std::cerr, results, calibration_path(), interpreters, notices},
                            std::move(resumed));
  return orchestrator.run();
}

int run(int argc, char** argv, const RunOptions& options) {
  install_signals(under_launcher());  // first: MPI_Init takes a while, and a signal may come early
  std::optional<NothingBegun> meeting(std::in_place);
  MpiSession mpi(argc, argv, options.errors);
  meeting.reset();
  if (mpi.rank() != 0) return run_agent(mpi, worker_binary_path());
  Notices notices(
      options.notify, [] { return asked() == Asked::interrupt; },
      [&](const std::string& message) {
        if (!options.quiet) tell(message);
      });
  try {
    const int code = run_suite(options, mpi, std::cout, &notices);
    mpi.finalize();
    return code;
  } catch (const std::exception& error) {
    const auto* known = dynamic_cast<const Error*>(&error);
    notices.tell_end(known ? exit_code(known->fault()) : kInternal, error.what());
    for (int rank = 1; rank < mpi.size(); ++rank) mpi.send(rank, encode(AgentOrder(LeaveNode{true})));
    throw;
  }
}

}  // namespace proctor
