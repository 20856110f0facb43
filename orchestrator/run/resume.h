// What a run directory already holds of this work: answers that still count, the overrides of shards, the next visit
// id. Refuses a directory of another suite, cells whose identity changed, and a plan that came out differently.
#pragma once

#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/planning/work.h"
#include "orchestrator/store/run_store.h"
#include "sharding/conductor/attempts.h"
#include "sharding/protocol/ledger.h"
#include "sharding/protocol/request.h"

namespace proctor {

struct Resumed {
  std::map<std::uint32_t, std::vector<Response>> answers;  ///< by shard index
  std::map<std::uint32_t, ShardOverrides> overrides;       ///< by shard index
  std::map<std::string, std::string> later;                ///< answers as stored, by the hashes of shards to come
  std::map<std::string, std::string> later_overrides;      ///< as stored, by the same
  std::map<std::string, std::string> chosen;               ///< the best module of a task, by the task's name
  std::vector<std::string> events;                         ///< of earlier starts
  std::vector<LedgerLine> ledger;                          ///< of earlier starts
  std::size_t bad_rows = 0;                                ///< damaged: what they held is computed again
  std::uint32_t next_visit = 1;
  double seconds = 0;  ///< of earlier starts: where this one begins in the timeline
};

/// Throws UsageError naming the key that changed. Writes the suite's and the cells' identity.
Resumed resume(RunStore& store, const Work& work, bool redo_changed);

/// What the store keeps of these tasks' cells, whose requests are known, by the cells' names.
std::vector<std::pair<std::string, std::string>> identity_records(const Work& work, std::span<const TaskId> tasks);
/// What the store keeps of a choice: it holds for this work of the cells that it was made of.
std::string encode_choice(const Work& work, TaskId task, const std::string& module);

/// What is stored of a shard's overrides.
std::string encode_overrides(const ShardOverrides& overrides);
ShardOverrides decode_overrides(std::string_view payload);

}  // namespace proctor
