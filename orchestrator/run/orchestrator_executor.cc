// The orchestrator as the conductor's Executor: commands to workers go through their agents, rows to the store's
// thread.
#include "orchestrator/run/orchestrator.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

void Orchestrator::send(AgentId agent, const AgentOrder& order) {
  if (agent == kLocal)
    local_agent_.handle(order);
  else
    mpi_.send(static_cast<int>(agent.value), encode(order));
}

void Orchestrator::to_worker(SlotId slot, const WorkerOrder& order) {
  send(slot.agent, ToWorker{slot.slot, to_binary(encode(order))});
}
void Orchestrator::start(SlotId slot, std::uint32_t incarnation) {
  started_[slot] = now().count();
  send(slot.agent, StartWorker{slot.slot, incarnation});
}
void Orchestrator::kill(SlotId slot) { send(slot.agent, KillWorker{slot.slot}); }
void Orchestrator::close(SlotId slot, VisitId visit) { to_worker(slot, CloseVisit{visit}); }

void Orchestrator::tear_down(SlotId slot, VisitId visit) { to_worker(slot, TearDown{visit}); }
void Orchestrator::abort(SlotId slot, VisitId visit, const std::string& reason) {
  to_worker(slot, AbortVisit{visit, reason});
}
void Orchestrator::join(SlotId slot, VisitId visit, const std::string& address) {
  to_worker(slot, JoinGang{visit, address});
}

void Orchestrator::open(std::span<const SlotId> members, VisitId visit, ModuleId module) {
  store_thread_.put({StoreRow::Table::record, "meta", "last_visit", std::to_string(visit.value), std::nullopt});
  opened_[visit.value] = {module, timeline_seconds()};
  const auto size = static_cast<std::uint32_t>(members.size());
  if (size > 1 && work_.device.kind == "cpu") {
    ShareMemory memory{visit, {}};
    for (SlotId member : members) memory.slots.push_back(member.slot);
    send(members[0].agent, memory);
  }
  for (std::uint32_t rank = 0; rank < size; ++rank)
    to_worker(members[rank],
              OpenVisit{visit, work_.suite.modules[module.value], rank, size, work_.max_batch_tokens[module.value],
                        work_.suite.cleanup, work_.suite.deadlines});
}

void Orchestrator::run(SlotId slot, const Assignment& assignment) {
  const Shard& planned = work_.shards[assignment.shard.value];
  const ShardOverrides& overrides = assignment.overrides;
  RunShard order{assignment.visit,
                 assignment.shard,
                 assignment.attempt,
                 std::max<std::int64_t>(1, work_.max_batch_tokens[planned.module.value] >> overrides.level),
                 {},
                 {overrides.isolated.begin(), overrides.isolated.end()},
                 {},
                 assignment.unit.count(),
                 {}};
  for (const auto& [request, why] : overrides.excluded) order.set_aside.push_back(request);
  const auto requests_of = [this](const Shard& shard) {
    std::vector<Request> requests;
    for (std::uint32_t r : shard.requests) requests.push_back(work_.requests[shard.task.value].requests[r]);
    return requests;
  };
  order.requests = requests_of(planned);
  if (assignment.next) order.next = requests_of(work_.shards[assignment.next->value]);
  to_worker(slot, order);
}

void Orchestrator::assign(const Assignment& assignment, SlotId first_member) {
  assignments_[assignment.visit.value] = {assignment.shard, assignment.attempt, timeline_seconds()};
  const std::string& shard = work_.shard_hashes[assignment.shard.value];
  store_thread_.put({StoreRow::Table::log, "attempt", shard,
                     std::to_string(assignment.visit.value) + " " + std::to_string(assignment.attempt), std::nullopt});
  if (assignment.attempt > 1)
    log("shard " + std::to_string(assignment.shard.value) + " is handed out again, attempt " +
        std::to_string(assignment.attempt) + ", to worker " + std::to_string(first_member.agent.value) + "." +
        std::to_string(first_member.slot));
}

void Orchestrator::store(ShardId shard, std::vector<Response> responses) {
  store_thread_.put(
      {StoreRow::Table::log, "answer", work_.shard_hashes[shard.value], encode_responses(responses), shard});
  unstored_[shard.value] = std::move(responses);
}

void Orchestrator::give_up(ShardId shard, std::vector<Response> responses) {
  unstored_[shard.value] = std::move(responses);
  given_up_.push_back(shard);
}

void Orchestrator::store_overrides(ShardId shard, const ShardOverrides& overrides) {
  overrides_[shard.value] = overrides;
  store_thread_.put(
      {StoreRow::Table::record, "shape", work_.shard_hashes[shard.value], encode_overrides(overrides), std::nullopt});
}

void Orchestrator::record(const LedgerEntry& entry) {
  Json row = {{"module", work_.suite.modules[entry.module.value].name},
              {"visit", entry.visit.value},
              {"worker", std::to_string(entry.slot.agent.value) + "." + std::to_string(entry.slot.slot)},
              {"incarnation", entry.incarnation},
              {"member", entry.member},
              {"members", entry.members},
              {"device", work_.device.kind},
              {"verdict", to_string(entry.verdict)},
              {"reason", entry.reason},
              {"opened_s", opened_[entry.visit.value].at},
              {"closed_s", timeline_seconds()}};
  if (const auto assignment = assignments_.find(entry.visit.value); assignment != assignments_.end())
    row["lost_s"] = timeline_seconds() - assignment->second.begin;
  if (entry.verdict != Verdict::aborted) measured_.teardown.add(1, entry.row.teardown_s);
  const Json measured = nlohmann::json(entry.row);
  for (const auto& [key, value] : measured.items()) row[key] = value;
  busy_seconds_ += entry.row.load_s + entry.row.run_s + entry.row.teardown_s;
  const std::string line = row.dump();
  store_thread_.put({StoreRow::Table::log, "ledger", "", line, std::nullopt});
  store_thread_.append(directory_.ledger(), line + "\n");
  ledger_.push_back(std::move(row));
}

void Orchestrator::warn(const std::string& event) {
  events_.push_back(event);
  store_thread_.put({StoreRow::Table::log, "event", "", event, std::nullopt});
  say("proctor: " + event);
}

}  // namespace proctor
