#include "orchestrator/ranks/agent_rank.h"

#include <chrono>
#include <cstdio>
#include <optional>

#include "orchestrator/base/exit_code.h"
#include "orchestrator/base/machine.h"
#include "orchestrator/base/signals.h"
#include "orchestrator/ranks/agent.h"
#include "orchestrator/ranks/patient_clock.h"

namespace proctor {
namespace {

constexpr Moment kLeaveDeadline{10};
constexpr const char* kNoMoreRuns = "";  // in place of an order

enum class Next { run, end };

/// One agent's life. `end`: no run follows.
Next serve(MpiSession& mpi, const std::string& worker_binary) {
  Agent agent(worker_binary, mpi.place(), [&](AgentReport report) { mpi.send(0, encode(report)); });
  const auto begin = std::chrono::steady_clock::now();
  PatientClock clock;
  Moment last_beat{0}, heard{0};
  std::optional<Moment> orphan;  // once rank 0, which may prepare for long, has said how long
  bool told = false;
  std::uint64_t beat = 0;
  std::optional<Moment> leave_by;
  while (!agent.left()) {
    const Moment now = clock.tick(std::chrono::steady_clock::now() - begin);
    mpi.progress();
    while (auto message = mpi.receive()) {
      heard = now;
      if (message->second == kNoMoreRuns) return Next::end;
      const AgentOrder order = decode_agent_order(message->second);
      if (std::holds_alternative<LeaveNode>(order)) leave_by = now + kLeaveDeadline;
      if (const auto* configure = std::get_if<Configure>(&order)) orphan = Moment(configure->orphan_s);
      agent.handle(order);
    }
    agent.poll(1);
    if (!leave_by && now - last_beat > kBeat) {
      last_beat = now;
      mpi.send(0, encode(AgentReport(Heartbeat{++beat, agent.take_progress()})));
    }
    if (asked() != Asked::nothing && !told) {
      told = true;
      mpi.send(0, encode(AgentReport(DrainAsked{last_signal()})));
    }
    if (leave_by && now > *leave_by) break;
    if (!leave_by && orphan && now - heard > *orphan) {
      std::fprintf(stderr, "proctor: rank %d on %s has not heard from rank 0 for %.0f s and leaves\n", mpi.rank(),
                   host_name().c_str(), orphan->count());
      agent.handle(LeaveNode{true});
      mpi.abort(kStoppedEarly);
    }
  }
  mpi.send(0, encode(AgentReport(AgentLeft{})));
  return Next::run;
}

void await_sent(MpiSession& mpi) {
  const auto last = std::chrono::steady_clock::now() +
                    std::chrono::duration_cast<std::chrono::steady_clock::duration>(kLeaveDeadline);
  while (!mpi.all_sent() && std::chrono::steady_clock::now() < last) {
  }
}

}  // namespace

int run_agent(MpiSession& mpi, const std::string& worker_binary) {
  (void)serve(mpi, worker_binary);
  await_sent(mpi);
  return kDone;
}

int run_agents(MpiSession& mpi, const std::string& worker_binary) {
  while (serve(mpi, worker_binary) != Next::end) await_sent(mpi);
  return kDone;
}

void no_more_runs(MpiSession& mpi) {
  for (int rank = 1; rank < mpi.size(); ++rank) {
    mpi.send(rank, encode(AgentOrder(LeaveNode{true})));
    mpi.send(rank, kNoMoreRuns);
  }
}

}  // namespace proctor
