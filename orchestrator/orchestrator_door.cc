// The orchestrator as the conductor's Door: commands to workers go through their agents, rows to the store's thread.
#include <fstream>

#include "orchestrator/orchestrator.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;
constexpr AgentId kLocal{0};

nlohmann::json::binary_t binary(const std::string& text) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  return {std::vector<std::uint8_t>(bytes, bytes + text.size())};
}

}  // namespace

void Orchestrator::send(AgentId agent, const AgentOrder& order) {
  if (agent == kLocal)
    local_agent_.handle(order);
  else
    mpi_.send(static_cast<int>(agent.value), encode(order));
}

void Orchestrator::to_worker(SlotId slot, const WorkerOrder& order) {
  send(slot.agent, ToWorker{slot.slot, binary(encode(order))});
}
void Orchestrator::start(SlotId slot, std::uint32_t incarnation) {
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
  store_thread_.put({"meta", "last_visit", std::to_string(visit.value), std::nullopt});
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

void Orchestrator::run(SlotId slot, const Turn& turn) {
  const Shard& planned = work_.shards[turn.shard.value];
  RunShard order{turn.visit,   turn.shard,
                 turn.attempt, std::max<std::int64_t>(1, work_.max_batch_tokens[planned.module.value] >> turn.level),
                 {},           turn.unit.count()};
  for (std::uint32_t r : planned.requests) order.requests.push_back(work_.requests[planned.task.value].requests[r]);
  to_worker(slot, order);
}

void Orchestrator::store(ShardId shard, std::vector<Response> responses) {
  store_thread_.put({"answer", work_.shard_hashes[shard.value], encode_responses(responses), shard});
  unstored_[shard.value] = std::move(responses);
}

void Orchestrator::give_up(ShardId shard, std::vector<Response> responses) {
  unstored_[shard.value] = std::move(responses);
  given_up_.push_back(shard);
}

void Orchestrator::store_level(ShardId shard, std::uint32_t level) {
  store_thread_.put({"level", work_.shard_hashes[shard.value], std::to_string(level), std::nullopt});
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
              {"reason", entry.reason}};
  const Json measured = nlohmann::json(entry.row);
  for (const auto& [key, value] : measured.items()) row[key] = value;
  busy_seconds_ += entry.row.load_s + entry.row.run_s + entry.row.teardown_s;
  const std::string line = row.dump();
  char key[64];
  std::snprintf(key, sizeof key, "%010u %u.%u", entry.visit.value, entry.slot.agent.value, entry.slot.slot);
  store_thread_.put({"ledger", key, line, std::nullopt});
  std::ofstream(directory_.ledger(), std::ios::app) << line << "\n";
  ledger_.push_back(std::move(row));
}

void Orchestrator::warn(const std::string& event) {
  events_.push_back(event);
  char key[32];
  std::snprintf(key, sizeof key, "%010zu", events_.size());
  store_thread_.put({"event", key, event, std::nullopt});
  say("proctor: " + event);
}

}  // namespace proctor
