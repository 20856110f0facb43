// Which devices form a gang: slots of one node, neighbours, at an offset that is a multiple of the width where one is
// free (aligned sets never fragment each other), else the first free run of neighbours.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sharding/ids.h"

namespace proctor {

/// `free[i]`: is slot i of this node free? Returns the gang's slots, ascending; nullopt where no run is free.
std::optional<std::vector<std::uint32_t>> place(const std::vector<bool>& free, std::uint32_t width);

}  // namespace proctor
