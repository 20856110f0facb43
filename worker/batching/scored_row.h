// A row of tokens with what is asked of it.
#pragma once

#include <cstdint>
#include <vector>

namespace proctor {

/// One row to score: `tokens` are the model's input; its last targets.size() positions predict `targets` (one at
/// least).
struct ScoredRow {
  std::vector<std::int32_t> tokens, targets;
};

}  // namespace proctor
