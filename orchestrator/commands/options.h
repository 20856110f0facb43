// The command line -> plain structs. Each verb has its own options; an unknown one names the nearest. Throws
// UsageError;
// `--help` gives its text.
#pragma once

#include <optional>
#include <string>

#include "orchestrator/base/error_line.h"
#include "orchestrator/commands/autorag.h"
#include "orchestrator/commands/compare.h"
#include "orchestrator/commands/export_run.h"
#include "orchestrator/commands/plan.h"
#include "orchestrator/commands/report.h"
#include "orchestrator/commands/samples_view.h"
#include "orchestrator/run/run_options.h"

namespace proctor {

struct ShowOptions {
  std::string directory;
  bool ledger = false, failures = false, timeline = false;
  std::string trace, svg;                   ///< files to write
  std::optional<SamplesView> samples = {};  ///< --samples
  std::string format = {};                  ///< of the table across modules: md, csv or latex; "": a table a module
};

struct Options {
  enum class Command {
    help,
    version,
    run,
    plan,
    show,
    render,
    autorag,
    compare,
    report,
    export_run
  } command = Command::help;
  std::string help;
  RunOptions run;
  PlanOptions plan;
  ShowOptions show;
  std::string render;  ///< the folder
  AutoragOptions autorag;
  CompareOptions compare;
  ReportOptions report;
  ExportOptions export_run;
};

Options parse_options(int argc, char** argv);

/// --errors, whatever else is wrong with the command line: its own errors are written so, too.
ErrorStyle error_style(int argc, char** argv);

}  // namespace proctor
