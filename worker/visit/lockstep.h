// A step: one shard computed by a gang in lockstep, and left by all members together whatever happened to each.
// Compute thread only.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "worker/communicator/communicator.h"
#include "worker/device/cleanup.h"
#include "worker/device/device.h"
#include "worker/kinds/kinds.h"

namespace proctor {

struct StepOutcome {
  StepEnd mine = StepEnd::done;  ///< what happened to this member
  StepEnd gang = StepEnd::done;  ///< the worst of all members'
  bool gang_broken = false;      ///< nothing more can be computed together
  std::vector<Response> responses;
  std::string message;  ///< why, where something is not done
};

/// Collective. After out of memory in some member, where the gang is still whole, all empty their caches and try once
/// more, in step. What `announce` throws that is no std::exception comes through.
StepOutcome run_step(OpenModule& module, Communicator& gang, const Device& device, const ShardRun& shard,
                     BatchCleanup& cleanup, const Announce& announce);

}  // namespace proctor
