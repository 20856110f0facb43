// A member's side of the teardown protocol, step by step, each announced, timed and under a deadline, and the
// measurement that proves it. The whole protocol, with its reasons: docs/teardown.md. Compute thread only.
#pragma once

#include <string>

#include "sharding/protocol/message.h"
#include "worker/device/cleanup.h"
#include "worker/device/device.h"
#include "worker/device/host_memory.h"
#include "worker/visit/gang.h"

namespace proctor {

/// What is true of this process between visits; teardown has to bring it back.
struct Baseline {
  DeviceMemory memory;
  ProcessCounters process;
  /// A visit had ended before it was taken: contexts, kernels, thread pools and what NCCL keeps are in it.
  bool warmed_up = false;
};
Baseline measure_baseline(Device& device, bool warmed_up);

/// Before anything collective: waits for the device's work. Returns what is wrong with this member, or "".
std::string quiesce(const Gang& gang, Device& device);

enum class Path {
  orderly,  ///< every member said that it is well: communicators are finalized and destroyed together
  abort     ///< some did not: nothing that could wait for another member
};
/// What becomes of the process.
enum class Aftermath {
  measured,  ///< the row tells; the orchestrator decides
  leave      ///< a thread is stuck in NCCL, or the device is lost: nothing more may be called, _exit
};

struct TornDown {
  Aftermath aftermath = Aftermath::leave;
  TeardownMeasures measures;
};
/// Ends the visit; may be called again after it threw (on the abort path). `step_limit`: seconds after which the
/// orchestrator calls a step late; a wait of one takes a third of it at most.
TornDown tear_down(Gang& gang, Device& device, const Baseline& before, Path path,
                   std::chrono::duration<double> step_limit, const Announce& announce);

}  // namespace proctor
