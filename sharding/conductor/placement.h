// Which devices form a gang: slots of one node, neighbours, at an offset that is a multiple of the width where one is
// free (aligned sets never fragment each other), else the first free run of neighbours. A gang wider than every node
// takes whole nodes, where its communicator can cross them (NCCL; never CPU workers' shared memory).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sharding/protocol/ids.h"

namespace proctor {

/// `free[i]`: is slot i of this node free? Returns the gang's slots, ascending; nullopt where no run is free.
std::optional<std::vector<std::uint32_t>> place(const std::vector<bool>& free, std::uint32_t width);

struct NodeSlots {
  AgentId agent;
  std::vector<bool> free;  ///< of each slot
};
enum class Reach { node, nodes };  ///< how far a gang's communicator goes

/// The slots of a gang in order of rank, or nullopt.
std::optional<std::vector<SlotId>> place_gang(std::span<const NodeSlots> nodes, std::uint32_t width, Reach reach);

}  // namespace proctor
