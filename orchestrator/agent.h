// A node agent: starts, feeds and watches the workers of its node, by the orchestrator's orders. It relays and kills;
// it decides nothing. One per rank, also on rank 0; main thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "orchestrator/worker_process.h"
#include "sharding/message.h"

namespace proctor {

class Agent {
 public:
  /// `node_rank`: this agent's place among those of its node, which decides which devices are its own. `report` is
  /// called from handle() and poll().
  Agent(std::string worker_binary, std::uint32_t node_rank, std::function<void(AgentReport)> report);

  void handle(const AgentOrder& order);
  /// Moves bytes and notices deaths; waits at most `timeout_ms` for something to happen.
  void poll(int timeout_ms);
  /// True once LeaveNode came and no worker is left.
  bool left() const { return leaving_ && slots_.empty(); }

 private:
  struct Slot {
    std::unique_ptr<WorkerProcess> process;
    std::uint32_t incarnation = 0;
    bool ordered_to_end = false;
    bool stream_ended = false;
  };
  void on(const Configure& order);
  void on(const StartWorker& order);
  void on(const KillWorker& order);
  void on(const ToWorker& order);
  void on(const ShareMemory& order);
  void on(const LeaveNode& order);
  void start(const StartWorker& order);
  void relay(std::uint32_t number, Slot& slot);
  void reap();

  std::string worker_binary_;
  std::uint32_t node_rank_;
  std::function<void(AgentReport)> report_;
  Configure configuration_;
  std::uint32_t workers_ = 0;  // of this agent
  std::map<std::uint32_t, Slot> slots_;
  std::map<std::uint32_t, StartWorker> waiting_;  ///< starts that wait for the old process to be gone
  bool leaving_ = false;
};

std::string host_name();
/// Lifts a launcher's binding: every core of the cgroup. Called once, before workers start.
void widen_affinity();
std::uint32_t usable_cores();
std::uint64_t usable_memory_bytes();  ///< of this node for this job: cgroup, SLURM_MEM_PER_NODE, MemTotal

}  // namespace proctor
