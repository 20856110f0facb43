// A (module, task), scored: from its documents and responses to figures and sample lines. Pure; runs on a background
// thread as soon as the cell is complete.
#pragma once

#include <span>

#include "orchestrator/metrics/aggregation.h"
#include "orchestrator/task_types/task_type.h"

namespace proctor {

CellScore score_cell(const TaskTemplates& task, const CellRequests& cell, std::span<const Response> responses,
                     const StderrOptions& options);

}  // namespace proctor
