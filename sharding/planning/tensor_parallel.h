// Which tensor-parallel sizes a model can be cut into. Heads and the feed-forward width are divided; KV heads are
// divided, or replicated where there are fewer of them than members; the vocabulary is padded. Pure.
#pragma once

#include <optional>
#include <string>

#include "sharding/protocol/facts.h"

namespace proctor {

/// Why `members` workers cannot hold this model together (with the numbers), or nullopt.
std::optional<std::string> cannot_split(const ModelFacts& facts, std::uint32_t members);

/// The sizes up to `most` that can be used, as text: "1, 3".
std::string usable_sizes(const ModelFacts& facts, std::uint32_t most);

}  // namespace proctor
