#include "orchestrator/task_types/can_answer.h"

#include <algorithm>

#include "orchestrator/task_types/task_type.h"
#include "sharding/protocol/error.h"

namespace proctor {

const KindRow& find_kind_row(const std::string& name, const std::string& where) {
  if (const KindRow* row = find_kind_row(name)) return *row;
  throw UsageError(where + ": kind '" + name + "' is not known (known: " + kind_names() + ")");
}

bool can_answer(const KindRow& kind, const Task& task) {
  if (!kind.has_model()) return kind.task_type == task.type;
  return std::ranges::all_of(task_type_of(task).request_types(), [&](RequestType type) {
    return std::ranges::find(kind.answers, type) != kind.answers.end();
  });
}

bool can_answer(const Module& module, const Task& task) {
  const bool named = !module.tasks || std::ranges::find(*module.tasks, task.base()) != module.tasks->end();
  return named && can_answer(find_kind_row(module.kind, module.name), task);
}

}  // namespace proctor
