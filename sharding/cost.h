// What a request costs, from text and ModelFacts alone: orders and predicts, and cuts shards of equal cost. Pure, and
// the same on every machine, since shard boundaries depend on it.
#pragma once

#include "sharding/facts.h"
#include "sharding/request.h"

namespace proctor {

/// Tokens estimated from UTF-8 bytes; at least 1 for a text that is not empty.
double estimated_tokens(const ModelFacts& facts, std::size_t bytes);

/// FLOPs of `tokens` new tokens behind `context` cached ones: 2 per weight and token, 4 x layers x width per attended
/// key.
double forward_flops(const ModelFacts& facts, double tokens, double context);

/// FLOPs of one request. `shared`: its first part was already counted by an earlier request of its bundle.
double request_flops(const ModelFacts& facts, const Request& request, bool shared);

/// FLOPs per shard for a device class ("cpu" or a GPU's name): some 4 seconds on a current one.
double shard_target_flops(const std::string& device_kind);

}  // namespace proctor
