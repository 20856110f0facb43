// The entries under a suite's `tasks`: which files they mean, and what is changed of them.
#pragma once

#include <yaml-cpp/yaml.h>

#include <set>
#include <string>
#include <vector>

#include "orchestrator/suite/task_file.h"

namespace proctor {

/// --set tasks.NAME.KEY=VALUE: changes of a task's own keys, whatever file it comes from.
class TaskSettings {
 public:
  void add(const std::string& setting, const std::string& value) { all_.push_back({setting, value}); }
  Changes of(const std::string& task);
  /// Throws UsageError for one that no task was asked for by.
  void refuse_unused() const;

 private:
  struct Setting {
    std::string path, value;
    bool used = false;
  };
  std::vector<Setting> all_;
  std::set<std::string> names_;
};

/// A path, a glob, or {path, name, set}. `resolved` is rewritten with absolute paths.
/// Throws UsageError.
void read_task_entry(YAML::Node node, const std::string& file, TaskSettings& settings, std::vector<Task>& tasks,
                     YAML::Node& resolved);

}  // namespace proctor
