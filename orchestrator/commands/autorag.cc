#include "orchestrator/commands/autorag.h"

#include <chrono>
#include <iostream>
#include <optional>
#include <sstream>

#include "orchestrator/base/exit_code.h"
#include "orchestrator/base/signals.h"
#include "orchestrator/base/tell.h"
#include "orchestrator/commands/run.h"
#include "orchestrator/ranks/agent_rank.h"
#include "orchestrator/ranks/launcher.h"
#include "orchestrator/ranks/mpi_session.h"
#include "orchestrator/ranks/worker_process.h"
#include "orchestrator/sidecar/sidecar.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = Sidecar::Json;

constexpr std::chrono::hours kStep{1};  // for what a node computes without a model

/// The Python process that knows the project.
class Planner {
 public:
  explicit Planner(const AutoragOptions& options)
      : quiet_(options.run.quiet), sidecar_(find_python(""), "proctor autorag", "proctor.autorag") {}

  Json ask(const Json& request) {
    const NothingBegun between;  // a signal ends it here; what has been answered is stored
    Json answer = sidecar_.ask(request, "autorag", kStep);
    for (const Json& note : answer.value("notes", Json::array()))
      if (!quiet_) tell("proctor: " + note.get<std::string>());
    return answer;
  }

 private:
  bool quiet_;
  Sidecar sidecar_;
};

int run_project(const AutoragOptions& options, MpiSession& mpi) {
  Planner planner(options);
  Json answer = planner.ask({{"start",
                              {{"config", options.config},
                               {"qa", options.qa},
                               {"corpus", options.corpus},
                               {"project", options.project},
                               {"models", options.models},
                               {"dtype", options.dtype},
                               {"fresh", options.run.fresh},
                               {"skip_unknown", options.skip_unknown}}}});
  RunOptions stage = options.run;
  stage.fresh = false;
  stage.redo_changed = true;  // where proctor or the machine has become another, answers are made anew
  for (; !answer.contains("done"); stage.tells_device = false) {
    stage.suite.path = answer.at("suite").get<std::string>();
    stage.out = answer.at("out").get<std::string>();
    if (!options.run.quiet) tell("proctor: " + stage.out);
    std::ostringstream tables;  // of single steps; the project's own follows
    const int code = run_suite(stage, mpi, tables);
    if (code != kDone && code != kSomeFailed) return code;
    answer = planner.ask({{"ran", code}});
  }
  std::cout << answer.at("done").get<std::string>();
  return kDone;
}

}  // namespace

int autorag(int argc, char** argv, const AutoragOptions& options) {
  install_signals(under_launcher());
  std::optional<NothingBegun> meeting(std::in_place);
  MpiSession mpi(argc, argv, options.run.errors);
  meeting.reset();
  if (mpi.rank() != 0) return run_agents(mpi, worker_binary_path());
  try {
    const int code = run_project(options, mpi);
    no_more_runs(mpi);
    mpi.finalize();
    return code;
  } catch (const std::exception&) {
    no_more_runs(mpi);
    throw;
  }
}

}  // namespace proctor
