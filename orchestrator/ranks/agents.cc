#include "orchestrator/ranks/agents.h"

#include <map>
#include <utility>

#include "orchestrator/base/machine.h"
#include "orchestrator/ranks/agent.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr Moment kLeaveDeadline{12};  // an agent's own, and what its answer takes

}  // namespace

Agents::Agents(Transport& transport, const DeviceFacts& device, std::function<Moment()> now)
    : transport_(transport), device_(device), now_(std::move(now)) {}

void Agents::start(const Configure& order) {
  gone_ = false;
  for (std::uint32_t agent = 0; agent < transport_.agents(); ++agent) transport_.send(AgentId{agent}, order);
}

void Agents::to_workers(std::span<const SlotId> workers, const WorkerOrder& order) {
  std::map<AgentId, std::vector<std::uint32_t>> slots;
  for (const SlotId worker : workers) slots[worker.agent].push_back(worker.slot);
  const std::string frame = encode(order);
  for (auto& [agent, of_node] : slots) transport_.send(agent, ToWorkers{std::move(of_node), frame});
}

std::vector<Transport::Received> Agents::receive() {
  std::vector<Transport::Received> came = transport_.receive();
  if (now_() - last_beat_ < kBeat) return came;
  last_beat_ = now_();
  for (std::uint32_t agent = 1; agent < transport_.agents() && !stopped_; ++agent)  // later they are in MPI_Finalize
    transport_.send(AgentId{agent}, OrchestratorBeat{});
  came.push_back({kLocal, Heartbeat{0, transport_.take_progress()}});
  return came;
}

void Agents::on_hello(const AgentHello& hello) {
  const auto same = [&](const char* what, const std::string& theirs, const std::string& ours) {
    if (theirs != ours)
      throw EnvironmentError("node " + hello.host + " has another " + what + " (" + theirs + ") than node " +
                             host_name() + " (" + ours + "); one run needs one kind of device");
  };
  same("device kind", hello.facts.kind, device_.kind);
  same("instruction set", hello.facts.instruction_set, device_.instruction_set);
  same("LibTorch", hello.facts.torch_version, device_.torch_version);
  same("build of proctor", hello.facts.numerics, device_.numerics);
  hosts_.push_back(hello.host);
  workers_.push_back(hello.slots);
}

void Agents::stop(bool at_once) {
  if (std::exchange(stopped_, true)) return;
  for (std::uint32_t agent = 0; agent < transport_.agents(); ++agent)
    transport_.send(AgentId{agent}, LeaveNode{at_once});
  std::uint32_t left = 0;
  for (const Moment until = now_() + kLeaveDeadline; now_() < until;) {
    if (left == transport_.agents() && transport_.all_sent()) break;
    for (const Transport::Received& one : transport_.receive()) left += std::holds_alternative<AgentLeft>(one.report);
  }
  gone_ = left == transport_.agents();
}

}  // namespace proctor
