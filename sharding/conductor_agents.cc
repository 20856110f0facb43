// The conductor's agents: who is here, who is silent, who speaks again.
#include <algorithm>

#include "sharding/conductor.h"

namespace proctor {

void Conductor::on_agent(AgentId agent, const std::string& host, std::uint32_t slots, Moment now) {
  roster_.on_agent(agent, host, slots, now);
  on_tick(now);
}

void Conductor::on_heard(AgentId agent, Moment now) {
  if (roster_.knows(agent) && roster_.on_heard(agent, now)) readmit(agent, now);
}

/// Its visits are left as they are, and nobody waits for them: their answers may still come.
void Conductor::suspect(AgentId agent, Moment now) {
  std::size_t reissued = 0;
  for (auto& [id, visit] : visits_) {
    if (visit.suspended() || !on_suspect_agent(visit)) continue;
    visit.suspend();
    if (visit.state() != VisitState::aborting) schedule_.on_gang_gone(visit.module());
    if (!holds_shard(visit)) continue;
    run_again(*visit.shard());
    ++reissued;
  }
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.0f", roster_.silent_for(agent, now).count());
  door_.warn("node " + roster_.host(agent) + " has been silent for " + seconds +
             " s: it is suspect, and gets nothing; " + std::to_string(reissued) + " shards are handed out again");
}

void Conductor::readmit(AgentId agent, Moment now) {
  for (auto& [id, visit] : visits_) {
    if (!visit.suspended() || on_suspect_agent(visit)) continue;
    visit.resume(now);
    if (visit.state() != VisitState::aborting) schedule_.on_gang_opening(visit.module());
  }
  door_.warn("node " + roster_.host(agent) + " speaks again and is readmitted");
  hand_out(now);
}

void Conductor::abandon_silent() {
  for (const auto& [id, visit] : visits_)
    for (std::uint32_t m = 0; m < visit.size() && visit.suspended(); ++m)
      door_.record({visit.module(), id, visit.slot(m), visit.incarnation(m), m, visit.size(), Verdict::aborted,
                    "its node is silent", visit.row(m).value_or(LedgerRow{})});
  std::erase_if(visits_, [](const auto& entry) { return entry.second.suspended(); });
}

bool Conductor::on_suspect_agent(const Visit& visit) const {
  for (std::uint32_t m = 0; m < visit.size(); ++m)
    if (roster_.suspect(visit.slot(m).agent)) return true;
  return false;
}

}  // namespace proctor
