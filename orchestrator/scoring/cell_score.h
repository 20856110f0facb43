// A (module, task), scored: from its documents and responses to figures and sample lines. Pure; runs on a background
// thread as soon as the pair is complete.
#pragma once

#include <span>

#include "orchestrator/metrics/aggregation.h"
#include "orchestrator/task_types/task_type.h"

namespace proctor {

PairScore score_pair(const TaskTemplates& task, const PairRequests& pair, std::span<const Response> responses,
                     const StderrOptions& options);

}  // namespace proctor
