#include "sharding/conductor/roster.h"

#include <algorithm>
#include <array>
#include <utility>

namespace proctor {
namespace {
constexpr std::array<double, 3> kStartPauses = {1, 5, 25};  // seconds before the next try
constexpr std::uint32_t kDeathsToQuarantine = 3;
constexpr std::size_t kShardsToQuarantine = 2;
}  // namespace

void Roster::on_agent(AgentId agent, const std::string& host, std::uint32_t slots, Moment now) {
  const bool known = agents_.contains(agent);
  Agent& record = agents_[agent];
  if (!known) {
    record.node = free_.size();
    free_.push_back({agent, {}});
  }
  for (const SlotRecord& slot : record.slots) --counts_[static_cast<std::size_t>(slot.state)];
  counts_[static_cast<std::size_t>(SlotState::waiting)] += slots;
  free_[record.node].free.assign(slots, false);
  record.host = host;
  record.slots.assign(slots, {});
  record.heard = now;
  for (SlotRecord& slot : record.slots) slot.due = now;
}

bool Roster::on_heard(AgentId agent, Moment now) {
  Agent& record = agents_.at(agent);
  record.heard = now;
  if (record.suspect)
    for (SlotRecord& slot : record.slots)
      if (slot.state == SlotState::starting) slot.due = now + start_deadline(slot);
  const bool was_suspect = record.suspect;
  if (was_suspect) set_suspect(record, false);
  return was_suspect;
}

void Roster::set(SlotId slot, SlotState state) {
  Agent& agent = agents_.at(slot.agent);
  SlotState& now = agent.slots.at(slot.slot).state;
  --counts_[static_cast<std::size_t>(now)];
  ++counts_[static_cast<std::size_t>(state)];
  now = state;
  free_[agent.node].free[slot.slot] = state == SlotState::free && !agent.suspect;
}

void Roster::set_suspect(Agent& agent, bool suspect) {
  agent.suspect = suspect;
  for (std::size_t s = 0; s < agent.slots.size(); ++s)
    free_[agent.node].free[s] = agent.slots[s].state == SlotState::free && !suspect;
}

std::vector<AgentId> Roster::take_silent(Moment limit, Moment now) {
  std::vector<AgentId> silent;
  for (auto& [id, agent] : agents_) {
    if (agent.suspect || now - agent.heard < limit) continue;
    set_suspect(agent, true);
    silent.push_back(id);
  }
  return silent;
}

void Roster::on_ready(SlotId slot) {
  set(slot, SlotState::free);
  record(slot).failed_starts = 0;
}

void Roster::on_replaced(SlotId slot, Occupant occupant, Moment now) {
  set(slot, SlotState::waiting);
  record(slot).occupant = occupant;
  record(slot).due = now;
}

void Roster::on_death(SlotId slot, const ShardId* shard, const std::string& how, bool dispensable, Moment now) {
  SlotRecord& record = this->record(slot);
  const bool was_starting = record.state == SlotState::starting;
  record.last_death = how;
  set(slot, SlotState::waiting);
  record.due = now;
  if (was_starting) {
    record.due = now + Moment(kStartPauses[std::min<std::size_t>(record.failed_starts, kStartPauses.size() - 1)]);
    if (++record.failed_starts > kStartPauses.size()) set(slot, SlotState::quarantined);
    return;
  }
  ++record.deaths;
  if (shard)
    record.died_in.insert(*shard);
  else
    record.due = now + Moment(kStartPauses.front());  // nothing was computed: do not spin
  if (record.deaths >= kDeathsToQuarantine && record.died_in.size() >= kShardsToQuarantine && dispensable)
    set(slot, SlotState::quarantined);
}

std::vector<SlotId> Roster::take_due(Moment now) {
  std::vector<SlotId> due;
  if (count(SlotState::waiting) == 0) return due;
  for (auto& [id, agent] : agents_)
    for (std::uint32_t s = 0; s < agent.slots.size() && !agent.suspect; ++s) {
      SlotRecord& record = agent.slots[s];
      if (record.state != SlotState::waiting || record.due > now) continue;
      set({id, s}, SlotState::starting);
      record.due = now + start_deadline(record);
      ++record.incarnation;
      due.push_back({id, s});
    }
  return due;
}

std::vector<SlotId> Roster::too_late_to_start(Moment now) const {
  std::vector<SlotId> late;
  if (count(SlotState::starting) == 0) return late;
  for (const auto& [id, agent] : agents_)
    for (std::uint32_t s = 0; s < agent.slots.size(); ++s)
      if (!agent.suspect && agent.slots[s].state == SlotState::starting && agent.slots[s].due <= now)
        late.push_back({id, s});
  return late;
}

std::size_t Roster::size() const {
  std::size_t n = 0;
  for (const auto& [id, agent] : agents_) n += agent.slots.size();
  return n;
}

}  // namespace proctor
