// Keys of a task that have a form of their own: metrics, filters, clean (metric_keys.cc), generation
// (generation_keys.cc). All throw UsageError with file:line:column.
#pragma once

#include <vector>

#include "orchestrator/spec/suite.h"
#include "orchestrator/suite/yaml_fields.h"
#include "orchestrator/task_types/task_type.h"

namespace proctor {

/// `fields`: the task's.
std::vector<Metric> read_metrics(YamlFields& fields, const TaskType& type);
std::vector<FilterPipeline> read_filters(YamlFields& fields);
std::vector<CleanStep> read_clean(YamlFields& fields);
/// `fields`: of `generation`.
Generation read_generation(YamlFields fields);

}  // namespace proctor
