// The answer of every kind that scores a query and a passage, and what is said of numbers that are none. Includes no
// torch.
#pragma once

#include <cmath>
#include <string>

#include "sharding/protocol/request.h"

namespace proctor {

/// Of one query's passages, which follow each other in a shard.
inline bool same_query(const Request& a, const Request& b) {
  const auto *one = std::get_if<ScorePair>(&a.ask), *other = std::get_if<ScorePair>(&b.ask);
  return a.parts.at(0) == b.parts.at(0) && (one ? one->query : "") == (other ? other->query : "");
}

/// Such an answer fails its request: it would be scored as if it meant something.
inline std::string not_finite(const std::string& what) {
  return "the model's " + what + " is not finite (an overflow? a broken checkpoint?)";
}

/// A score that is no number fails its request, since it has no place in an order.
inline void answer_score(Response& response, double score, std::size_t tokens, std::size_t truncated) {
  if (std::isfinite(score))
    response.answer = ScorePairAnswer{score, static_cast<std::int64_t>(tokens), static_cast<std::int64_t>(truncated)};
  else
    response.error = not_finite("score");
}

}  // namespace proctor
