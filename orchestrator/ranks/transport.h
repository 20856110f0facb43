// How rank 0 reaches the agents: its own within this process, the others over MPI. Main thread only; tests put their
// own in its place.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "sharding/protocol/message.h"

namespace proctor {

constexpr AgentId kLocal{0};  ///< the agent within rank 0

class Transport {
 public:
  virtual ~Transport() = default;
  virtual std::uint32_t agents() const = 0;  ///< of all ranks, rank 0's own among them
  virtual void send(AgentId agent, const AgentOrder& order) = 0;

  struct Received {
    AgentId agent;
    AgentReport report;
  };
  /// What has come since, each agent's in its order; where nothing has, a millisecond is waited for something. An agent
  /// says AgentLeft when LeaveNode has come and its workers are gone.
  virtual std::vector<Received> receive() = 0;
  /// Progress of this node's workers that was held back since it was asked for last (Agent::take_progress).
  virtual std::vector<FromWorker> take_progress() = 0;
  virtual bool all_sent() = 0;
  virtual void abort(int code) = 0;  ///< ends every rank; does not return
};

}  // namespace proctor
