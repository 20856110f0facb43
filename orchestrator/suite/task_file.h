// One task's YAML -> a Task, with every mistake named by file:line:column.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/spec/suite.h"

namespace proctor {

/// "fewshot.count" -> "5".
using Changes = std::vector<std::pair<std::string, std::string>>;

/// One task file, with changes applied. `name`: another name, or empty. `more`: further changes of the task of that
/// name, which win. Throws UsageError.
Task read_task(const std::string& path, const std::string& name, const Changes& changes,
               const std::function<Changes(const std::string& task)>& more = {});

}  // namespace proctor
