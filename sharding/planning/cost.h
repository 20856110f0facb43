// What a request costs, from text and ModelFacts alone: orders and predicts, and cuts shards of equal cost. Pure, and
// the same on every machine, since shard boundaries depend on it.
#pragma once

#include "sharding/protocol/facts.h"
#include "sharding/protocol/request.h"

namespace proctor {

/// Tokens estimated from UTF-8 bytes; at least 1 for a text that is not empty.
double estimated_tokens(const ModelFacts& facts, std::size_t bytes);

/// FLOPs of `tokens` new tokens behind `context` cached ones: 2 per weight and token, 4 x layers x width per attended
/// key, of which a token has max_length at most.
double forward_flops(const ModelFacts& facts, double tokens, double context);

/// Of a text estimated, of an image as its processor cuts it. Throws InputError for an image that it refuses.
double tokens_of(const ModelFacts& facts, const Part& part);

/// What of a request its predecessor begins with too, so that it is computed once.
struct SharedBeginning {
  std::size_t bytes = 0;  ///< of the text behind the parts
  std::size_t parts = 0;  ///< whole ones
};

/// Estimates of one request: what is to be computed of it.
struct RequestCost {
  double flops = 0, tokens = 0;
};
RequestCost request_cost(const ModelFacts& facts, const Request& request, SharedBeginning shared);

/// Scored positions whose logits a worker computes at once: as many as a device needs to be busy.
constexpr std::size_t head_rows(bool gpu) { return gpu ? 1024 : 128; }

/// Positions whose keys and values generation keeps for rows under way, in max_batch_tokens. A CPU is busy with few
/// rows and shares its memory among many workers.
constexpr double cached_batches(bool gpu) { return gpu ? 8 : 2.4; }

/// Bytes of one device, estimated.
struct MemoryNeed {
  double weights = 0, cache = 0, activations = 0, communicator = 0;  ///< cache: keys and values
  double all() const { return weights + cache + activations + communicator; }
};
/// `dtype_bytes` of an element; `batch_tokens` computed at once; `cached_tokens` whose keys and values are kept.
MemoryNeed memory_need(const ModelFacts& facts, double dtype_bytes, std::uint32_t tensor_parallel, double batch_tokens,
                       double cached_tokens, bool gpu);

/// How much a shard holds.
struct ShardTarget {
  double flops = 0;
  std::size_t generating = 1;  ///< at least so many rows that generate: a decode step reads all weights for any number
};

/// For a device class ("cpu" or a GPU's name): some 4 seconds on a current one.
ShardTarget shard_target(const std::string& device_kind);

}  // namespace proctor
