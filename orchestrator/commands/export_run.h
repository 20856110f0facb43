// `proctor export DIR --to FORMAT`: a run in the form of another program, by python/proctor/export.
#pragma once

#include <iosfwd>
#include <string>

namespace proctor {

struct ExportOptions {
  std::string directory;
  std::string format;  ///< parquet, csv, jsonl, mlflow, inspect or hf-results
  std::string out;     ///< a folder; "": export/FORMAT in the run directory
};

/// Says which files it wrote. Throws InputError where DIR is no run with results, EnvironmentError where Python or a
/// package of it is missing.
void export_run(const ExportOptions& options, std::ostream& out);

}  // namespace proctor
