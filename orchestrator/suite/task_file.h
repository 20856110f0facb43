// One task's YAML -> a Task, with every mistake named by file:line:column.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "orchestrator/spec/suite.h"

namespace proctor {

/// One task file, with changes ("fewshot.count" -> "5") applied. `name`: another name, or empty. Throws UsageError.
Task read_task(const std::string& path, const std::string& name,
               const std::vector<std::pair<std::string, std::string>>& changes);

}  // namespace proctor
