// A row of tokens with what is asked of it.
#pragma once

#include <cstdint>
#include <vector>

#include "sharding/protocol/tokens.h"

namespace proctor {

/// One row to score: `tokens` are the model's input; its last targets.size() positions predict `targets` (one at
/// least).
struct ScoredRow {
  Tokens tokens, targets;
};

}  // namespace proctor
