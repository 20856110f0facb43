// `proctor autorag CONFIG`: an AutoRAG project on proctor's ranks. What a node needs, and what its answers mean, is
// known to python/proctor/autorag; here each of its suites is run, one after another, by the same ranks.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/run/run_options.h"

namespace proctor {

struct AutoragOptions {
  std::string config, qa, corpus, project;  ///< files, and the project's folder
  std::vector<std::string> models;          ///< NAME=FOLDER: where a model lies that the configuration names
  std::string dtype;                        ///< of models; "": each its own
  bool skip_unknown = false;                ///< modules and metrics that are not there are left out
  RunOptions run;                           ///< of each suite; its suite and out are the planner's
};

/// Returns the exit code. argc, argv: main's, for MPI_Init.
int autorag(int argc, char** argv, const AutoragOptions& options);

}  // namespace proctor
