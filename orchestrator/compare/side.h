// One side of a comparison: a module of a finished run, or lm-eval's samples; each task's values, document by document.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace proctor {

/// Of a document, in the order of its samples file.
struct SideDocument {
  std::string key;              ///< the hash of its row, and how often it has come before
  std::optional<double> value;  ///< absent where it failed
  std::string cluster;
};

struct TaskKey {
  std::string task, metric, filter;
  auto operator<=>(const TaskKey&) const = default;
};

class Side {
 public:
  /// "RUN" or "RUN:MODULE". Throws UsageError where there is no such run or module, or the run has several.
  static Side of_run(const std::string& name);
  /// A folder of lm-eval's results: samples_TASK_DATE.jsonl, of each task the latest.
  static Side of_lm_eval(const std::filesystem::path& folder);

  const std::string& name() const { return name_; }
  std::set<std::string> tasks() const;
  /// Groups of tasks, as the results have them: those that tasks are in, through groups within groups.
  const std::map<std::string, std::set<std::string>>& groups() const { return groups_; }
  /// Of a task, or of a group's row: "metric", as the results have them.
  const std::set<std::string>& metrics(const std::string& task) const;
  const std::filesystem::path& samples(const std::string& task) const { return files_.at(task); }
  /// Of each metric that documents have a number of. `cluster`: a field of the row, or "". Throws EnvironmentError
  /// where a line is no sample, InputError where a row lacks the field.
  std::map<TaskKey, std::vector<SideDocument>> values(const std::string& task, const std::string& cluster) const;
  /// Of a metric of a task; true where nobody says.
  bool higher_is_better(const std::string& task, const std::string& metric) const;

 private:
  std::string name_;
  std::map<std::string, std::filesystem::path> files_;
  std::map<std::pair<std::string, std::string>, bool> better_;
  std::map<std::string, std::set<std::string>> groups_;
  std::map<std::string, std::set<std::string>> metrics_;  ///< of a task, as the results have them
};

}  // namespace proctor
