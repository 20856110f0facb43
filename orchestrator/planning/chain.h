// Tasks over answers. Before a run they are planned on answers as they could come out, which shows what is wrong with
// them and about what they cost; when the last answer that one reads is here, it is planned like any other task.
// docs/chains.md.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "orchestrator/planning/cells.h"
#include "orchestrator/planning/request_sets.h"
#include "orchestrator/planning/work.h"

namespace proctor {

/// The tasks of a suite, each behind those that it reads.
std::vector<std::uint32_t> in_order_of_reading(const Suite& suite);

/// Rows of a task over answers, before there are any: its requests are then as foreseen. Those that it reads have
/// their requests already.
void foresee_rows(Work& work, TaskId task);

/// Which module is best for a task, as it was found.
struct Chosen {
  TaskId task;
  std::string module;
};

/// Rank 0, one thread.
class Chain {
 public:
  /// `work` outlives this, and the interpreters where a task waits. `chosen`: of earlier starts, by the task's name.
  Chain(Work& work, const Interpreters& interpreters, std::map<std::string, std::string> chosen = {});

  bool done() const { return work_.waiting.empty(); }
  /// Whether the module answers a task that waits.
  bool may_get_work(ModuleId module) const;
  /// Answers that count, each shard's once.
  void add(const Shard& shard, std::span<const Response> responses);
  /// A cell's figures, and what it ranked; those of set metrics, and rankings, are known nowhere else.
  void add_score(std::size_t cell, const std::vector<MetricScore>& metrics, Rankings rankings = {});
  /// Tasks whose answers are all here, planned: their shards are behind those that were there. `choose` is told what
  /// was chosen before it takes effect.
  std::vector<TaskId> plan_ready(const std::function<void(const Chosen&)>& choose);

 private:
  struct Read {                       ///< a cell that a waiting task reads
    std::vector<Response> responses;  // none of rankings, which come with the score
    std::size_t left = 0;             // requests
    std::optional<std::vector<MetricScore>> metrics;
    Rankings rankings;
  };
  void await(TaskId task);
  void expect_answers(std::size_t cell);
  bool ready(const Task& task) const;
  bool ranks_passages(std::size_t cell) const;
  std::size_t choose(const Task& task) const;
  void plan(TaskId task, const std::function<void(const Chosen&)>& choose);

  Work& work_;
  ImageFiles no_images_;
  RequestSets sets_;
  Cells cells_;
  std::vector<std::uint32_t> order_;  // of reading
  std::map<std::string, std::string> chosen_;
  std::map<std::size_t, Read> read_;  // by cell
  bool changed_ = true;               // since it was last looked for tasks that are ready
};

}  // namespace proctor
