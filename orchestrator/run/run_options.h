// How a suite is run, as the command line of `proctor run` says it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/report/progress.h"

namespace proctor {

struct RunOptions {
  std::string suite, out;                ///< out "": runs/<suite>
  std::optional<std::uint32_t> workers;  ///< per rank
  std::string device = "auto";
  std::size_t limit = 0;              ///< documents of each task; 0: all
  std::vector<std::string> settings;  ///< --set
  std::uint64_t memory_limit_bytes = 0;
  bool fresh = false, redo_changed = false;
  ProgressStyle progress = ProgressStyle::automatic;
  std::vector<std::string> command_line;
};

}  // namespace proctor
