// A run as its directory tells it, running, ended or killed: status, results, ledger, turns and samples, from files
// alone. Nothing of run.db is read, so that a live run is not disturbed.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/store/run_directory.h"
#include "sharding/protocol/ledger.h"

namespace proctor {

/// Lines of one module's task: of samples/, or of responses/ (a task of type `requests`, which is not scored).
struct AnsweredFile {
  std::string module, task;
  std::filesystem::path path;
  bool scored = true;
};

class RunFiles {
 public:
  /// Throws UsageError where the folder is no run directory (status.json is missing or not readable).
  explicit RunFiles(const std::filesystem::path& folder);

  const RunDirectory& directory() const { return directory_; }
  const nlohmann::ordered_json& status() const { return status_; }
  /// "finished", "running, pid 4 on node7", "interrupted (...)": a process that was killed could not say so.
  std::string state() const;
  /// Names in the order in which the suite has them.
  std::vector<std::string> modules() const { return names_of("module"); }
  std::vector<std::string> tasks() const { return names_of("task"); }
  /// In the suite's order; those of modules that it no longer has are last.
  std::vector<std::filesystem::path> results() const;
  /// Module and results of each of them.
  std::vector<std::pair<std::string, nlohmann::ordered_json>> read_results() const;
  /// Throws EnvironmentError where a line is not as proctor writes it; the last may be torn.
  std::vector<LedgerLine> ledger() const;
  std::vector<nlohmann::ordered_json> turns() const;
  /// Discarded where there is none yet.
  nlohmann::ordered_json manifest() const;
  /// By module, then task.
  std::vector<AnsweredFile> answered() const;

 private:
  std::vector<std::string> names_of(const char* key) const;

  RunDirectory directory_;
  nlohmann::ordered_json status_;
};

/// Discarded where the file is missing, or holds something else.
nlohmann::ordered_json read_json(const std::filesystem::path& path);

}  // namespace proctor
