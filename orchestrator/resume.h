// What a run directory already holds of this work: answers that still count, halvings, the next visit id. Refuses a
// directory of another suite, and pairs whose identity changed.
#pragma once

#include <map>
#include <vector>

#include "orchestrator/run_store.h"
#include "orchestrator/work.h"

namespace proctor {

struct Resumed {
  std::map<std::uint32_t, std::vector<Response>> answers;  ///< by shard index
  std::map<std::uint32_t, std::uint32_t> levels;           ///< `halved`, by shard index
  std::vector<std::string> events;                         ///< of earlier starts
  std::uint32_t next_visit = 1;
};

/// Throws UsageError naming the key that changed. Writes the suite's and the pairs' identity.
Resumed resume(RunStore& store, const Work& work, bool redo_changed);

}  // namespace proctor
