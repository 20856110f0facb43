#include "orchestrator/agent_rank.h"

#include <chrono>
#include <optional>

#include "orchestrator/agent.h"
#include "orchestrator/exit_code.h"
#include "orchestrator/signals.h"
#include "sharding/roster.h"

namespace proctor {
namespace {
constexpr Moment kLeaveDeadline{10}, kBeat{1};
}

int run_agent(MpiSession& mpi, const std::string& worker_binary) {
  Agent agent(worker_binary, static_cast<std::uint32_t>(mpi.node_rank()),
              [&](AgentReport report) { mpi.send(0, encode(report)); });
  const auto begin = std::chrono::steady_clock::now();
  Moment last_beat{0};
  bool told = false;
  std::uint64_t beat = 0;
  std::optional<Moment> leave_by;
  while (!agent.left()) {
    const Moment now = std::chrono::steady_clock::now() - begin;
    mpi.progress();
    while (auto message = mpi.receive()) {
      const AgentOrder order = decode_agent_order(message->second);
      if (std::holds_alternative<LeaveNode>(order)) leave_by = now + kLeaveDeadline;
      agent.handle(order);
    }
    agent.poll(1);
    if (!leave_by && now - last_beat > kBeat) {
      last_beat = now;
      mpi.send(0, encode(AgentReport(Heartbeat{++beat})));
    }
    if (asked() != Asked::nothing && !told) {
      told = true;
      mpi.send(0, encode(AgentReport(DrainAsked{last_signal()})));
    }
    if (leave_by && now > *leave_by) break;
  }
  mpi.send(0, encode(AgentReport(AgentLeft{})));
  const auto last = std::chrono::steady_clock::now() +
                    std::chrono::duration_cast<std::chrono::steady_clock::duration>(kLeaveDeadline);
  while (!mpi.all_sent() && std::chrono::steady_clock::now() < last) {
  }
  return kDone;
}

}  // namespace proctor
