// The transport of a run: messages to other ranks by MPI, the agent of this node in this process.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "orchestrator/ranks/agent.h"
#include "orchestrator/ranks/mpi_session.h"
#include "orchestrator/ranks/transport.h"

namespace proctor {

class MpiTransport final : public Transport {
 public:
  /// `device`: what a probe of this machine has said already. `mpi` outlives this.
  MpiTransport(MpiSession& mpi, std::string worker_binary, DeviceFacts device);

  std::uint32_t agents() const override { return static_cast<std::uint32_t>(mpi_.size()); }
  void send(AgentId agent, const AgentOrder& order) override;
  std::vector<Received> receive() override;
  std::vector<FromWorker> take_progress() override { return local_.take_progress(); }
  bool all_sent() override { return mpi_.all_sent(); }
  void abort(int code) override { mpi_.abort(code); }

 private:
  MpiSession& mpi_;
  std::vector<Received> came_;
  Agent local_;
  bool local_left_ = false;  // and has said so
};

}  // namespace proctor
