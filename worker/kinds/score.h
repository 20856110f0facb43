// The answer of every kind that scores a query and a passage. Includes no torch.
#pragma once

#include <cmath>

#include "sharding/request.h"

namespace proctor {

/// Of one query's passages, which follow each other in a shard.
inline bool same_query(const Request& a, const Request& b) {
  return a.parts.at(0) == b.parts.at(0) && a.ask.value("query", "") == b.ask.value("query", "");
}

/// [score, tokens, truncated]; a score that is no number fails its request, since it has no place in an order.
inline void answer_score(Response& response, double score, std::size_t tokens, std::size_t truncated) {
  if (std::isfinite(score))
    response.value = {score, tokens, truncated};
  else
    response.error = "the model's score is not a finite number (an overflow? a broken checkpoint?)";
}

}  // namespace proctor
