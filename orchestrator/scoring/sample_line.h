// A line of samples/ or responses/: what was asked, answered and scored of one document, in lm-eval's words.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "orchestrator/metrics/hashes.h"
#include "orchestrator/task_types/task_type.h"

namespace proctor {

/// One document's requests and responses.
struct Answered {
  const Document* document;
  std::size_t index;
  std::span<const Request> requests;
  std::span<const Response> responses;

  std::string failure;  // why there is no score; "" if there is one
};

/// lm-eval's doc_hash, prompt_hash and target_hash of a document.
struct SampleHashes {
  Digest document{}, prompt{}, target{};
};

/// Each ends with a line feed.
std::string sample_line(const TaskTemplates& task, const TaskType& type, const Answered& answered,
                        const FilterPipeline& filter, const MetricValues& values, const SampleHashes& hashes);
/// Of a task that is not scored: what came of a request, under the names that its type gives it (docs/requests.md).
std::string response_line(const Answered& answered);

}  // namespace proctor
