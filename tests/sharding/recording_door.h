// A Door that writes down every command; a test takes what it expects and checks that nothing else was said.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "sharding/conductor.h"

namespace proctor {

inline std::string text(SlotId slot) { return std::to_string(slot.agent.value) + "." + std::to_string(slot.slot); }

class RecordingDoor final : public Door {
 public:
  void start(SlotId slot, std::uint32_t incarnation) override {
    say("start " + text(slot) + " #" + std::to_string(incarnation));
  }
  void kill(SlotId slot) override { say("kill " + text(slot)); }
  void open(SlotId slot, VisitId visit, ModuleId module, std::uint32_t rank, std::uint32_t size) override {
    say("open " + text(slot) + " visit " + std::to_string(visit.value) + " module " + std::to_string(module.value) +
        " member " + std::to_string(rank) + "/" + std::to_string(size));
  }
  void run(SlotId slot, VisitId visit, ShardId shard, std::uint32_t attempt, std::uint32_t level) override {
    say("run " + text(slot) + " visit " + std::to_string(visit.value) + " shard " + std::to_string(shard.value) +
        " attempt " + std::to_string(attempt) + (level ? " level " + std::to_string(level) : ""));
  }
  void close(SlotId slot, VisitId visit) override {
    say("close " + text(slot) + " visit " + std::to_string(visit.value));
  }
  void store(ShardId shard, std::vector<Response> responses) override {
    say("store " + std::to_string(shard.value) + (responses.empty() || responses[0].error.empty() ? "" : " failed"));
    stored.emplace_back(shard, std::move(responses));
  }
  void give_up(ShardId shard, std::vector<Response> responses) override {
    say("give up " + std::to_string(shard.value));
    given_up.emplace_back(shard, std::move(responses));
  }
  void store_level(ShardId shard, std::uint32_t level) override {
    say("level " + std::to_string(shard.value) + " " + std::to_string(level));
  }
  void record(const LedgerEntry& entry) override {
    say("ledger visit " + std::to_string(entry.visit.value) + " " + to_string(entry.verdict));
  }
  void warn(const std::string& event) override { warnings.push_back(event); }

  std::vector<std::string> take() { return std::exchange(said, {}); }

  std::vector<std::string> said, warnings;
  std::vector<std::pair<ShardId, std::vector<Response>>> stored, given_up;

 private:
  void say(std::string what) { said.push_back(std::move(what)); }
};

}  // namespace proctor
