// Orders from the agent, read on a thread of their own so that the agent's death, and an abort, are seen while a batch
// runs. Lives as long as the process.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "sharding/protocol/channel.h"
#include "sharding/protocol/message.h"
#include "worker/visit/gang.h"

namespace proctor {

class Inbox {
 public:
  /// Both must outlive the process's last order.
  Inbox(Channel& channel, AbortSwitch& abort_switch);

  /// Compute thread: waits for the next order.
  WorkerOrder take();
  /// The memory that came with the last GangMemory.
  Descriptor take_memory();

 private:
  void read(Channel& channel, AbortSwitch& abort_switch);

  std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<WorkerOrder> orders_;
  Descriptor memory_;
  std::thread thread_;
};

}  // namespace proctor
