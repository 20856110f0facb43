#pragma once

#include <cstdint>

namespace proctor {

/// A rank's place among those of its node, which decides which devices are its own.
struct NodePlace {
  std::uint32_t rank = 0, ranks = 1;
};

/// After how many ranks share a node.
inline constexpr const char* kNoAutomaticWorkers =
    ", so 'auto' cannot tell how many workers each may have; give --workers N (per rank), or start one rank per node";

}  // namespace proctor
