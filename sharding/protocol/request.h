// One thing to compute, and its answer. Planner, wire and store read the parts and carry `ask` unopened; only the
// module's kind (worker) and the task's type (orchestrator) know what it says.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace proctor {

struct Request {
  std::vector<std::string> parts;  ///< UTF-8 texts, the shared one first (context, continuation)
  nlohmann::json ask;              ///< {"type": "loglikelihood" | "loglikelihood_rolling" | "generate_until" |
                                   ///< "embed" | "score_pair" | "compress", ...}

  bool operator==(const Request&) const = default;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Request, parts, ask)

/// The answer to one request; `error` names why there is none. `value` is the kind's: loglikelihood
/// [sum of log-probabilities (natural), is_greedy, scored tokens, truncated tokens]; rolling [sum, scored tokens];
/// generate_until [text, new tokens, truncated tokens], with ask "logprobs" [text, new tokens, their ids, their natural
/// log-probabilities, truncated tokens]; embed [binary float32 vector (little-endian), tokens,
/// truncated]; score_pair [score, tokens, truncated]; compress [text, kept tokens, tokens before, 0].
struct Response {
  nlohmann::json value;
  std::string error;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Response, value, error)

}  // namespace proctor
