// The conductor's agents: who is here, who is silent, who speaks again.
#include <algorithm>
#include <utility>

#include "sharding/conductor/conductor.h"
#include "sharding/protocol/wording.h"

namespace proctor {

std::string Conductor::name_of(SlotId slot) const {
  return "worker " + std::to_string(slot.slot) + " on " + roster_.host(slot.agent);
}

void Conductor::on_agent(AgentId agent, const std::string& host, std::uint32_t slots, Moment now) {
  roster_.on_agent(agent, host, slots, now);
  on_tick(now);
}

void Conductor::on_heard(AgentId agent, Moment now) {
  if (roster_.knows(agent) && roster_.on_heard(agent, now)) readmit(agent, now);
}

/// Visits that are wholly on silent nodes are left as they are, and nobody waits for them: their answers may still
/// come. One that also holds workers of other nodes is aborted, so that those are free.
void Conductor::suspect(AgentId agent, Moment now) {
  std::vector<std::pair<VisitId, std::vector<std::uint32_t>>> split;  // their silent members
  std::size_t reissued = 0;
  for (auto next = arrivals_.begin(); next != arrivals_.end();)
    if (const auto one = next++; one->first.agent == agent) call_off(one, now);
  for (const LedgerEntry& entry : std::exchange(unmeasured_, {})) {
    if (entry.slot.agent == agent)
      executor_.record(entry);  // its agent says no more
    else
      unmeasured_.push_back(entry);
  }
  for (auto& [id, visit] : visits_) {
    const std::vector<std::uint32_t> silent = silent_members(visit);
    if (visit.suspended() || silent.empty()) continue;
    if (silent.size() < visit.size()) {
      if (visit.state() != VisitState::aborting) split.emplace_back(id, silent);
      continue;
    }
    visit.suspend();
    if (visit.state() != VisitState::aborting) gang_gone(visit);
    if (!holds_shard(visit)) continue;
    run_again(*visit.shard());
    ++reissued;
  }
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.0f", roster_.silent_for(agent, now).count());
  executor_.lost("node " + roster_.host(agent) + " has been silent for " + seconds +
                 " s: it is suspect, and gets nothing; " + counted(reissued, "shard") +
                 (reissued == 1 ? " is" : " are") + " handed out again");
  for (const auto& [id, silent] : split)
    abort(id, "node " + roster_.host(agent) + " is silent", std::nullopt, now, silent);
}

void Conductor::readmit(AgentId agent, Moment now) {
  std::vector<std::pair<VisitId, std::vector<std::uint32_t>>> split;  // members on nodes that are still silent
  for (auto& [id, visit] : visits_) {
    const std::vector<std::uint32_t> silent = silent_members(visit);
    if (!visit.suspended() || silent.size() == visit.size()) continue;
    visit.resume(now);
    hungry_.insert(id);
    if (visit.state() != VisitState::aborting) schedule_.on_gang_opening(visit.module());
    if (!silent.empty()) split.emplace_back(id, silent);
  }
  executor_.warn("node " + roster_.host(agent) + " speaks again and is readmitted");
  for (const auto& [id, silent] : split) abort(id, "a node of it is still silent", std::nullopt, now, silent);
  assign(now);
}

void Conductor::abandon_silent() {
  for (const auto& [id, visit] : visits_)
    for (std::uint32_t m = 0; m < visit.size() && visit.suspended(); ++m)
      record(visit, m, Verdict::aborted, "its node is silent");
  std::erase_if(visits_, [](const auto& entry) { return entry.second.suspended(); });
}

std::vector<std::uint32_t> Conductor::silent_members(const Visit& visit) const {
  std::vector<std::uint32_t> silent;
  for (std::uint32_t m = 0; m < visit.size(); ++m)
    if (visit.here(m) && roster_.suspect(visit.slot(m).agent)) silent.push_back(m);
  return silent;
}

}  // namespace proctor
