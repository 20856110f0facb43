// The orchestrator's tasks over answers: planned when what they read is here, with what earlier starts know of them.
#include <algorithm>
#include <span>
#include <utility>

#include "orchestrator/run/orchestrator.h"
#include "sharding/protocol/wording.h"

namespace proctor {

/// An answer that counts.
void Orchestrator::count(ShardId id, std::vector<Response> responses) {
  const Shard& shard = work_.shards[id.value];
  chain_.add(shard, responses);
  scoreboard_.add(shard, std::move(responses));
}

/// What an earlier start has stored of a shard that is planned only now; false: nothing.
bool Orchestrator::restore(ShardId id) {
  const std::string& hash = work_.shard_hashes[id.value];
  if (const auto shape = later_overrides_.extract(hash)) {
    const ShardOverrides overrides = decode_overrides(shape.mapped());
    conductor_.restore_overrides(id, overrides);
    report_.overridden(id, overrides);
  }
  const auto stored = later_.extract(hash);
  if (!stored) return false;
  conductor_.restore_answered(id);
  count(id, decode_responses(stored.mapped()));
  return true;
}

/// Tasks whose answers are all here become requests and shards. What an earlier start answered of them may make more
/// ready.
void Orchestrator::plan_what_is_ready() {
  for (Scoreboard::FreshScore& one : scoreboard_.take_scores())
    chain_.add_score(one.cell, one.metrics, std::move(one.rankings));
  const auto chosen = [this](const Chosen& one) {
    const std::string& task = work_.suite.tasks[one.task.value].name;
    store_thread_.put(
        {StoreRow::Table::record, "chosen", task, encode_choice(work_, one.task, one.module), std::nullopt});
    report_.say("proctor: task " + task + " reads the answers of " + one.module + ", the best");
  };
  for (std::size_t first = work_.shards.size();; first = work_.shards.size()) {
    const std::vector<TaskId> tasks = chain_.plan_ready(chosen);
    if (tasks.empty()) break;
    const auto fresh = std::span(std::as_const(work_.shards)).subspan(first);
    for (auto& [name, record] : identity_records(work_, tasks))
      store_thread_.put({StoreRow::Table::record, "pair", name, std::move(record), std::nullopt});
    for (const TaskId task : tasks) {
      scoreboard_.on_planned(task, fresh);
      report_.log("task " + work_.suite.tasks[task.value].name + " is planned: " +
                  counted(static_cast<std::size_t>(std::ranges::count(fresh, task, &Shard::task)), "shard"));
    }
    conductor_.add(fresh);
    report_.on_planned();
    for (std::size_t s = first; s < work_.shards.size(); ++s)
      if (const ShardId id{static_cast<std::uint32_t>(s)}; !restore(id) && is_computed_here(id)) compute_here(id);
    expect_more();
  }
}

void Orchestrator::expect_more() {
  for (std::uint32_t m = 0; m < work_.suite.modules.size(); ++m)
    conductor_.expect_more(ModuleId{m}, chain_.may_get_work(ModuleId{m}));
}

}  // namespace proctor
