// The agents of a run as rank 0 sees them: who is here, with how many workers of which device; orders to many at once;
// signs of life; and the end, at which each has to leave. Main thread only.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "orchestrator/ranks/transport.h"
#include "sharding/protocol/moment.h"

namespace proctor {

class Agents {
 public:
  /// `device`: of rank 0's node, which every node's has to equal; `now`: seconds since the run's start. Both, and the
  /// transport, outlive this.
  Agents(Transport& transport, const DeviceFacts& device, std::function<Moment()> now);

  void start(const Configure& order);
  void send(AgentId agent, const AgentOrder& order) { transport_.send(agent, order); }
  /// Encoded once for all; a message a node.
  void to_workers(std::span<const SlotId> workers, const WorkerOrder& order);

  /// What has come since, with the progress that was held back; says that rank 0 lives, each kBeat.
  std::vector<Transport::Received> receive();

  /// Throws EnvironmentError where its device, or its build, is another than rank 0's.
  void on_hello(const AgentHello& hello);
  bool all_here() const { return hosts_.size() == transport_.agents(); }
  std::uint32_t count() const { return transport_.agents(); }
  const std::vector<std::string>& hosts() const { return hosts_; }
  const std::vector<std::uint32_t>& workers() const { return workers_; }  ///< of each host

  /// Once: they stop their workers and leave, within some seconds. Where one does not, gone() says so: MPI_Finalize
  /// would wait for it for ever.
  void stop(bool at_once);
  bool gone() const { return gone_; }
  void abort(int code) { transport_.abort(code); }  ///< ends every rank; does not return

 private:
  Transport& transport_;
  const DeviceFacts& device_;
  std::function<Moment()> now_;
  std::vector<std::string> hosts_;
  std::vector<std::uint32_t> workers_;
  Moment last_beat_{-1};
  bool stopped_ = false, gone_ = true;
};

}  // namespace proctor
