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

/// FLOPs of one request. `shared_bytes`: the beginning of its first part that its predecessor has too, computed once.
double request_flops(const ModelFacts& facts, const Request& request, std::size_t shared_bytes);

/// How much a shard holds.
struct ShardTarget {
  double flops = 0;
  std::size_t generating = 1;  ///< at least so many rows that generate: a decode step reads all weights for any number
};

/// For a device class ("cpu" or a GPU's name): some 4 seconds on a current one.
ShardTarget shard_target(const std::string& device_kind);

}  // namespace proctor
