// The orchestrator's shards of modules without a model: a thread beside the loop computes them, they are stored like
// any other's, and the conductor never hands them out.
#include "orchestrator/run/orchestrator.h"

namespace proctor {

bool Orchestrator::is_computed_here(ShardId id) const { return !work_.has_model(work_.shards[id.value].module); }

/// The conductor takes it for stored.
void Orchestrator::compute_here(ShardId id) {
  const Shard& shard = work_.shards[id.value];
  const Module& module = work_.suite.modules[shard.module.value];
  conductor_.restore_answered(id);
  here_.insert(id);
  retrievers_.put(
      {id, module.kind, module.options, work_.requests_of(shard.module, shard.task).passages, requests_of(id)});
}

void Orchestrator::take_what_was_computed_here() {
  for (auto& [shard, responses] : retrievers_.take()) store(shard, std::move(responses));
}

}  // namespace proctor
