// Who is here: agents, which are suspect while they are silent, and the state of each of their worker slots. A worker
// that will not start is tried again after 1, 5 and 25 seconds; then, or after 3 deaths on 2 shards, its slot is
// quarantined for the run. A slot's worker is of some program; one beside a wide guest has none. Pure: `now` comes in.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sharding/conductor/placement.h"
#include "sharding/protocol/ids.h"
#include "sharding/protocol/moment.h"
#include "sharding/protocol/program.h"

namespace proctor {

/// parked: without a process, while a guest in a slot before it drives its device.
enum class SlotState { waiting, starting, free, busy, parked, quarantined };

struct SlotRecord {
  SlotState state = SlotState::waiting;
  std::uint32_t incarnation = 0;  ///< of the worker that is starting or running
  Occupant occupant;              ///< whose worker that is, or will be
  std::uint32_t failed_starts = 0;
  std::uint32_t deaths = 0;
  std::set<ShardId> died_in;
  Moment due{0};  ///< waiting: when to start; starting: when it is too late
  std::string last_death;
};

class Roster {
 public:
  Roster(Moment start_deadline, Moment guest_start_deadline)
      : start_deadline_(start_deadline), guest_start_deadline_(guest_start_deadline) {}

  void on_agent(AgentId agent, const std::string& host, std::uint32_t slots, Moment now);
  /// A sign of life. True if the agent was suspect until now.
  bool on_heard(AgentId agent, Moment now);
  /// Agents that have just been silent for `limit`: suspect from here on.
  std::vector<AgentId> take_silent(Moment limit, Moment now);
  bool suspect(AgentId agent) const { return agents_.at(agent).suspect; }
  Moment silent_for(AgentId agent, Moment now) const { return now - agents_.at(agent).heard; }
  void on_ready(SlotId slot);
  void on_busy(SlotId slot) { set(slot, SlotState::busy); }
  void on_free(SlotId slot) { set(slot, SlotState::free); }
  /// A replaced worker is no failure of its slot: it may start at once.
  void on_replaced(SlotId slot, Moment now) { on_replaced(slot, at(slot).occupant, now); }
  void on_replaced(SlotId slot, Occupant occupant, Moment now);
  void on_parked(SlotId slot) { set(slot, SlotState::parked); }
  /// The worker died by itself, in `shard` if it held one. A device that some module could not do without is never
  /// quarantined for its deaths (`dispensable`).
  void on_death(SlotId slot, const ShardId* shard, const std::string& how, bool dispensable, Moment now);

  /// Slots of agents that are not suspect, whose worker is to be started now; they count as starting from here on.
  std::vector<SlotId> take_due(Moment now);
  std::vector<SlotId> too_late_to_start(Moment now) const;
  /// Every node's slots, those marked for which test(SlotId, const SlotRecord&) holds.
  template <class Test>
  std::vector<NodeSlots> nodes(Test&& test) const {
    std::vector<NodeSlots> nodes;
    for (const auto& [id, agent] : agents_) {
      nodes.push_back({id, {}});
      for (std::uint32_t s = 0; s < agent.slots.size(); ++s)
        nodes.back().free.push_back(test(SlotId{id, s}, agent.slots[s]));
    }
    return nodes;
  }
  /// Every node's slots, those marked that are free on agents that are not suspect. Kept up to date, never built anew.
  const std::vector<NodeSlots>& free_nodes() const { return free_; }
  const std::string& host(AgentId agent) const { return agents_.at(agent).host; }
  const SlotRecord& at(SlotId slot) const { return agents_.at(slot.agent).slots.at(slot.slot); }
  bool knows(AgentId agent) const { return agents_.contains(agent); }
  std::size_t count(SlotState state) const { return counts_[static_cast<std::size_t>(state)]; }
  std::size_t size() const;  ///< slots of all agents

 private:
  struct Agent {
    std::string host;
    std::vector<SlotRecord> slots;
    Moment heard{0};
    bool suspect = false;
    std::size_t node = 0;  // index into free_
  };
  SlotRecord& record(SlotId slot) { return agents_.at(slot.agent).slots.at(slot.slot); }
  Moment start_deadline(const SlotRecord& slot) const {
    return slot.occupant.is_guest() ? guest_start_deadline_ : start_deadline_;
  }
  void set(SlotId slot, SlotState state);
  void set_suspect(Agent& agent, bool suspect);
  std::map<AgentId, Agent> agents_;
  Moment start_deadline_, guest_start_deadline_;
  std::vector<NodeSlots> free_;
  std::array<std::size_t, 6> counts_{};  // of slots in each state
};

}  // namespace proctor
