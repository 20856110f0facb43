// The keys of a task that reads another's answers.
#pragma once

#include "orchestrator/spec/upstream.h"
#include "orchestrator/suite/yaml_fields.h"

namespace proctor {

/// Throws UsageError with file:line:column. Names of tasks and modules are judged where all are known (chain_tasks.h).
Upstream read_upstream(YamlFields fields);

}  // namespace proctor
