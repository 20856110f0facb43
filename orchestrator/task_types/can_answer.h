// Which module answers which task, by the table of kinds (sharding/protocol/kinds.h).
#pragma once

#include <string>

#include "orchestrator/spec/suite.h"
#include "sharding/protocol/kinds.h"

namespace proctor {

/// Throws UsageError naming the kinds there are; `where` names file and line.
const KindRow& find_kind_row(const std::string& name, const std::string& where);

/// Whether a module of that kind answers every request that such a task may make.
bool can_answer(const KindRow& kind, const Task& task);
/// The same of a module, which may leave the task out.
bool can_answer(const Module& module, const Task& task);

}  // namespace proctor
