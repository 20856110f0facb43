// A text longer than the model, in windows of which each predicts tokens that no other does. Includes no torch.
#pragma once

#include <cstdint>
#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/batching/scored_row.h"

namespace proctor {

/// lm-eval's rolling windows with context length 1: (input, targets) pairs over `tokens`, prefixed by `prefix`.
std::vector<ScoredRow> rolling_windows(const Tokens& tokens, std::int32_t prefix, std::int64_t max_length);

}  // namespace proctor
