// A (module, task), scored: from its documents and responses to figures and sample lines. Pure; runs on a background
// thread as soon as the pair is complete.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "orchestrator/scoring/aggregation.h"
#include "orchestrator/task_types/task_type.h"

namespace proctor {

/// The requests of document i are [first_request[i], first_request[i + 1]).
struct PairRequests {
  std::vector<Document> documents;
  std::vector<Request> requests;
  std::vector<std::uint32_t> first_request;
};

struct MetricScore {
  std::string metric, filter;
  double value = 0;
  std::optional<double> error;
};

struct PairScore {
  std::vector<MetricScore> metrics;  ///< by filter, then metric name
  std::size_t documents = 0, effective = 0, truncated = 0;
  std::string samples;                ///< JSON lines in document order; of a task that is not scored: its responses
  std::string task_hash;              ///< SHA-256 over the samples' hashes, as lm-eval's task_hashes
  std::vector<std::string> failures;  ///< of documents that could not be scored
};

PairScore score_pair(const TaskTemplates& task, const PairRequests& pair, std::span<const Response> responses,
                     const StderrOptions& options);

}  // namespace proctor
