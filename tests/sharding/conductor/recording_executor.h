// An Executor that writes down every command; a test takes what it expects and checks that nothing else was said.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "sharding/conductor/conductor.h"

namespace proctor {

inline std::string text(const ShardOverrides& overrides) {
  std::string out = overrides.level ? " level " + std::to_string(overrides.level) : "";
  for (std::uint32_t batch : overrides.isolated) out += " isolated " + std::to_string(batch);
  for (const auto& [request, why] : overrides.excluded) out += " without " + std::to_string(request);
  return out;
}

inline std::string text(SlotId slot) { return std::to_string(slot.agent.value) + "." + std::to_string(slot.slot); }

class RecordingExecutor final : public Executor {
 public:
  void start(SlotId slot, std::uint32_t incarnation, Occupant occupant) override {
    say("start " + text(slot) + " #" + std::to_string(incarnation) +
        (occupant.is_guest() ? " program " + std::to_string(occupant.program) : "") +
        (occupant.width > 1 ? " for " + std::to_string(occupant.width) : ""));
  }
  void kill(SlotId slot) override { say("kill " + text(slot)); }
  void open(std::span<const SlotId> members, VisitId visit, ModuleId module) override {
    for (std::size_t m = 0; m < members.size(); ++m)
      say("open " + text(members[m]) + " visit " + std::to_string(visit.value) + " module " +
          std::to_string(module.value) + " member " + std::to_string(m) + "/" + std::to_string(members.size()));
  }
  void join(SlotId slot, VisitId visit, const std::string& address) override {
    say("join " + text(slot) + " visit " + std::to_string(visit.value) + " at " + address);
  }
  void assign(std::span<const SlotId> members, const Assignment& assignment) override {
    ++handed_out;
    foreseen = assignment.next;
    for (SlotId slot : members)
      say("run " + text(slot) + " visit " + std::to_string(assignment.visit.value) + " shard " +
          std::to_string(assignment.shard.value) + " attempt " + std::to_string(assignment.attempt) +
          text(assignment.overrides));
  }
  void close(std::span<const SlotId> members, VisitId visit) override { each("close ", members, visit); }
  void tear_down(std::span<const SlotId> members, VisitId visit) override { each("tear down ", members, visit); }
  void abort(std::span<const SlotId> members, VisitId visit, const std::string&) override {
    each("abort ", members, visit);
  }
  void store(ShardId shard, std::vector<Response> responses) override {
    say("store " + std::to_string(shard.value) + (responses.empty() || responses[0].error.empty() ? "" : " failed"));
    stored.emplace_back(shard, std::move(responses));
  }
  void give_up(ShardId shard, std::vector<Response> responses) override {
    say("give up " + std::to_string(shard.value));
    given_up.emplace_back(shard, std::move(responses));
  }
  void store_overrides(ShardId shard, const ShardOverrides& overrides) override {
    say("shape " + std::to_string(shard.value) + text(overrides));
  }
  void record(const LedgerEntry& entry) override {
    say("ledger visit " + std::to_string(entry.visit.value) + " " + to_string(entry.verdict));
    ledger.push_back(entry);
  }
  void warn(const std::string& event) override { warnings.push_back(event); }
  void lost(const std::string& event) override {
    warn(event);
    losses.push_back(event);
  }

  std::vector<std::string> take() { return std::exchange(said, {}); }

  std::vector<std::string> said, warnings, losses;
  std::vector<std::pair<ShardId, std::vector<Response>>> stored, given_up;
  std::vector<LedgerEntry> ledger;
  std::size_t handed_out = 0;
  std::optional<ShardId> foreseen;  ///< with the latest shard that was handed out

 private:
  void each(const char* what, std::span<const SlotId> members, VisitId visit) {
    for (SlotId slot : members) say(what + text(slot) + " visit " + std::to_string(visit.value));
  }
  void say(std::string what) { said.push_back(std::move(what)); }
};

}  // namespace proctor
