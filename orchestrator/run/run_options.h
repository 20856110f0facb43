// How a suite is run, as the command line of `proctor run` says it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/base/error_line.h"
#include "orchestrator/report/progress.h"
#include "orchestrator/spec/document_limit.h"
#include "orchestrator/spec/suite_source.h"

namespace proctor {

struct RunOptions {
  SuiteSource suite;
  std::string out;                       ///< "": runs/<suite>
  std::optional<std::uint32_t> workers;  ///< per rank
  std::string device = "auto";
  DocumentLimit limit = 0;            ///< documents of each task
  std::vector<std::string> settings;  ///< --set
  std::uint64_t memory_limit_bytes = 0;
  bool allow_code = false;     ///< metrics in Python may run
  bool allow_engines = false;  ///< engines that are not proctor's may run
  bool fresh = false, redo_changed = false;
  bool prune = false;  ///< results of modules that the suite no longer has are removed
  ProgressStyle progress = ProgressStyle::automatic;
  std::string notify = {};              ///< a command that is told of losses and the end; "": none
  std::optional<double> gpu_hour = {};  ///< what a device costs
  bool quiet = false;                   ///< results and errors only
  bool tells_device = true;             ///< that there is no GPU; false in a process that has said so
  ErrorStyle errors = ErrorStyle::text;
  std::vector<std::string> command_line;
};

}  // namespace proctor
