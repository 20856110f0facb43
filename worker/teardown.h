// A member's side of the teardown protocol, step by step, each announced and timed, and the measurement that proves it.
// The order and its reasons: docs/architecture.md.
#pragma once

#include "sharding/message.h"
#include "worker/cleanup.h"
#include "worker/device.h"
#include "worker/gang.h"
#include "worker/weights.h"

namespace proctor {

/// What is true of this worker before a visit; teardown has to bring it back.
struct Baseline {
  std::uint64_t allocated_bytes = 0, reserved_bytes = 0, free_bytes = 0, resident_bytes = 0;
};
Baseline measure_baseline(Device& device);

/// Ends the visit. Leaves load_s, run_s, tokens, bytes_read as they are in `row`; fills the rest.
void tear_down(Gang& gang, Device& device, const Baseline& before, Deadline deadline, const Announce& announce,
               LedgerRow& row);

}  // namespace proctor
