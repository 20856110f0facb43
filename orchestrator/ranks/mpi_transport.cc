#include "orchestrator/ranks/mpi_transport.h"

#include <utility>

namespace proctor {

MpiTransport::MpiTransport(MpiSession& mpi, std::string worker_binary, DeviceFacts device)
    : mpi_(mpi),
      local_(
          std::move(worker_binary), mpi.place(),
          [this](AgentReport report) {
            came_.push_back({kLocal, std::move(report)});
          },
          std::move(device)) {}

void MpiTransport::send(AgentId agent, const AgentOrder& order) {
  if (agent == kLocal)
    local_.handle(order);
  else
    mpi_.send(static_cast<int>(agent.value), encode(order));
}

std::vector<Transport::Received> MpiTransport::receive() {
  mpi_.progress();
  while (auto message = mpi_.receive())
    came_.push_back({AgentId{static_cast<std::uint32_t>(message->first)}, decode_agent_report(message->second)});
  local_.poll(came_.empty() ? 1 : 0);
  if (local_.left() && !std::exchange(local_left_, true)) came_.push_back({kLocal, AgentLeft{}});
  return std::exchange(came_, {});
}

}  // namespace proctor
