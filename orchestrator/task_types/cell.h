// A (module, task) before and after it is scored.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/data/document.h"
#include "orchestrator/data/passage.h"
#include "sharding/protocol/request.h"

namespace proctor {

/// The requests of document i are [first_request[i], first_request[i + 1]); those after the last belong to all (the
/// passages that queries are searched in).
struct CellRequests {
  std::vector<Document> documents;
  std::vector<Request> requests;
  std::vector<std::uint32_t> first_request;
  std::shared_ptr<const std::vector<Passage>> passages = {};  ///< of rankings without a model: what they are of
};

/// A query's passages, the best first, or why there are none.
struct QueryRanking {
  std::vector<Ranked> passages = {};
  std::string failure = {};
};
using Rankings = std::shared_ptr<const std::vector<QueryRanking>>;  ///< of each query of a cell

struct MetricScore {
  std::string metric, filter;
  double value = 0;
  std::optional<double> error;
};

/// Of a (module, task): how its answers came about.
struct TraceFigures {
  std::size_t unfinished = 0, at_budget = 0;              ///< traces that never ended; that were ended
  std::vector<std::int64_t> trace_tokens, answer_tokens;  ///< of each response, ascending
};

struct CellScore {
  std::vector<MetricScore> metrics;  ///< by filter, then metric name
  std::size_t documents = 0, effective = 0, truncated = 0;
  std::optional<TraceFigures> traces;  ///< of models that reason before they answer
  std::string samples;                 ///< JSON lines in document order; of a task that is not scored: its responses
  std::string task_hash;               ///< SHA-256 over the samples' hashes, as lm-eval's task_hashes
  std::vector<std::string> failures;   ///< of documents that could not be scored
  Rankings rankings = {};              ///< of types that rank passages
};

}  // namespace proctor
