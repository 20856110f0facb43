#include "sharding/roster.h"

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
  Agent& record = agents_[agent];
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
      if (slot.state == SlotState::starting) slot.due = now + start_deadline_;
  return std::exchange(record.suspect, false);
}

std::vector<AgentId> Roster::take_silent(Moment limit, Moment now) {
  std::vector<AgentId> silent;
  for (auto& [id, agent] : agents_) {
    if (agent.suspect || now - agent.heard < limit) continue;
    agent.suspect = true;
    silent.push_back(id);
  }
  return silent;
}

void Roster::on_ready(SlotId slot) {
  at(slot).state = SlotState::free;
  at(slot).failed_starts = 0;
}

void Roster::on_replaced(SlotId slot, Moment now) {
  at(slot).state = SlotState::waiting;
  at(slot).due = now;
}

void Roster::on_death(SlotId slot, const ShardId* shard, const std::string& how, bool dispensable, Moment now) {
  SlotRecord& record = at(slot);
  const bool was_starting = record.state == SlotState::starting;
  record.last_death = how;
  record.state = SlotState::waiting;
  record.due = now;
  if (was_starting) {
    record.due = now + Moment(kStartPauses[std::min<std::size_t>(record.failed_starts, kStartPauses.size() - 1)]);
    if (++record.failed_starts > kStartPauses.size()) record.state = SlotState::quarantined;
    return;
  }
  ++record.deaths;
  if (shard)
    record.died_in.insert(*shard);
  else
    record.due = now + Moment(kStartPauses.front());  // nothing was computed: do not spin
  if (record.deaths >= kDeathsToQuarantine && record.died_in.size() >= kShardsToQuarantine && dispensable)
    record.state = SlotState::quarantined;
}

std::vector<SlotId> Roster::take_due(Moment now) {
  std::vector<SlotId> due;
  for (auto& [id, agent] : agents_)
    for (std::uint32_t s = 0; s < agent.slots.size() && !agent.suspect; ++s) {
      SlotRecord& record = agent.slots[s];
      if (record.state != SlotState::waiting || record.due > now) continue;
      record.state = SlotState::starting;
      record.due = now + start_deadline_;
      ++record.incarnation;
      due.push_back({id, s});
    }
  return due;
}

std::vector<SlotId> Roster::too_late_to_start(Moment now) const {
  std::vector<SlotId> late;
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

std::size_t Roster::count(SlotState state) const {
  std::size_t n = 0;
  for (const auto& [id, agent] : agents_)
    for (const SlotRecord& slot : agent.slots) n += slot.state == state;
  return n;
}

}  // namespace proctor
