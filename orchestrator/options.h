// The command line -> plain structs. Throws UsageError; `--help` gives its text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/progress.h"

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

struct ShowOptions {
  std::string directory;
  bool ledger = false, failures = false, timeline = false;
  std::string trace, svg;  ///< files to write
};

struct PlanOptions {
  std::vector<std::uint32_t> gpus;  ///< empty: this machine's devices
  std::string svg, calibrated_by;
};

struct Options {
  enum class Command { help, run, plan, show } command = Command::help;
  std::string help;
  RunOptions run;
  ShowOptions show;
  PlanOptions plan;  ///< beside run
};

Options parse_options(int argc, char** argv);

}  // namespace proctor
