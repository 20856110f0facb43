// The cells of a work: what has to be equal for their stored answers to count, and the shards that they are cut into.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "orchestrator/planning/work.h"

namespace proctor {

class Cells {
 public:
  /// `work` outlives this; its requests, facts and device are known.
  explicit Cells(Work& work) : work_(work) {}
  /// One more, whose requests are in the work.
  void add(ModuleId module, TaskId task) { work_.cells.push_back({module, task, {}, ""}); }
  /// Identities and shards of all that were added; of tasks that wait, those that are foreseen.
  void plan_all();
  /// Of a task that no longer waits: its cells, whose requests are now known. Their shards come behind the others.
  void plan(TaskId task);

 private:
  nlohmann::json identity_of(ModuleId module, TaskId task);
  const std::string& requests_hash(std::size_t set);
  const std::string& settings_of(std::size_t cell);
  std::vector<Shard> cut(const Cell& cell) const;
  void plan_known(Cell& cell);

  Work& work_;
  std::map<TaskId, std::map<std::string, std::string>> code_;  // hashes of each task's metrics in Python
  std::map<std::size_t, std::string> requests_;                // hashes, by set
  std::map<std::size_t, std::string> settings_;                // hashes of what is known before the answers, by cell
};

}  // namespace proctor
