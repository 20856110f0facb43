// A node agent: starts, feeds and watches the workers of its node, by the orchestrator's orders. It relays and kills;
// it decides nothing. One per rank, also on rank 0; main thread only.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/ranks/guest_slot.h"
#include "orchestrator/ranks/node_place.h"
#include "orchestrator/ranks/worker_process.h"
#include "sharding/protocol/message.h"
#include "sharding/protocol/moment.h"

namespace proctor {

/// Of one clock within this process, for guests' watches.
inline Moment monotonic() { return std::chrono::steady_clock::now().time_since_epoch(); }

constexpr std::chrono::milliseconds kBeat{500};  ///< between signs of life, both ways

class Agent {
 public:
  /// `report` is called from handle() and poll(). `known`: what a probe of this machine has said already.
  Agent(std::string worker_binary, NodePlace place, std::function<void(AgentReport)> report,
        std::optional<DeviceFacts> known = std::nullopt);

  void handle(const AgentOrder& order);
  /// Moves bytes and notices deaths; waits at most `timeout_ms` for something to happen.
  void poll(int timeout_ms);
  /// Once each beat: the progress that was held back since the last. A worker's first announcement after it is
  /// reported at once, later ones are held here (the latest counts), so that a thousand workers do not flood rank 0.
  std::vector<FromWorker> take_progress();
  /// True once LeaveNode came and no worker is left.
  bool left() const { return leaving_ && slots_.empty(); }

 private:
  struct Slot {
    std::unique_ptr<WorkerProcess> process;
    std::unique_ptr<GuestSlot> guest;  // of a guest; goes before its process
    std::string log_file;
    std::uint32_t incarnation = 0;
    bool ordered_to_end = false;
    bool stream_ended = false;
    std::string unreadable;                   // why, where its stream is
    bool announced = false;                   // progress was reported in this beat
    std::optional<FromWorker> held_progress;  // the latest since
  };
  void on(const Configure& order);
  void on(const StartWorker& order);
  void on(const KillWorker& order);
  void on(const ToWorkers& order);
  void on(const ShareMemory& order);
  void on(const LeaveNode& order);
  void on(const OrchestratorBeat&) {}
  void start(const StartWorker& order);
  WorkerCommand command_of(const StartWorker& order);
  std::unique_ptr<GuestSlot> watch_guest(const StartWorker& order, const WorkerCommand& command, pid_t pid);
  void look_at_guests();
  static std::string with_last_words(const std::string& how, const Slot& slot);
  void over(std::map<std::uint32_t, Slot>::iterator slot, const WorkerExited& exited);
  void relay(std::uint32_t number, Slot& slot);
  void pass_on(std::uint32_t number, Slot& slot, const std::string& frame);
  void report_held(Slot& slot);
  EndedBy ended_by(const Slot& slot);
  void reap();

  std::string worker_binary_;
  NodePlace place_;
  std::function<void(AgentReport)> report_;
  std::optional<DeviceFacts> known_;
  std::uint64_t out_of_memory_kills_;  // of the kernel, when the last worker was started
  Configure configuration_;
  std::uint32_t workers_ = 0;  // of this agent
  DeviceFacts facts_;
  std::unique_ptr<GuestHouse> house_;  // from the first guest on
  std::map<std::uint32_t, Slot> slots_;
  std::map<std::uint32_t, StartWorker> waiting_;  ///< starts that wait for the old process to be gone
  bool leaving_ = false;
};

}  // namespace proctor
