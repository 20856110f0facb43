// A worker's loop: orders in from its agent, reports out; one visit at a time. The compute thread runs it; a reader
// thread takes frames off the socket and ends the process when the agent is gone.
#pragma once

#include <cstdint>

#include "sharding/protocol/channel.h"
#include "worker/device/probe.h"

namespace proctor {

struct WorkerOptions {
  DeviceChoice device = DeviceChoice::automatic;
  int device_index = 0;
  int cpu_threads = 1;
  std::uint64_t memory_limit_bytes = 0;  ///< 0: none
};

/// Serves until it is told to leave. Returns the exit status.
int serve(Channel channel, const WorkerOptions& options);

}  // namespace proctor
