#include "orchestrator/task_types/kinds.h"

#include <algorithm>

#include "orchestrator/task_types/task_type.h"
#include "sharding/protocol/error.h"

namespace proctor {

const KindRow& find_kind_row(const std::string& name, const std::string& where) {
  static const std::vector<KindRow> table = {
      {"generator", {"loglikelihood", "loglikelihood_rolling", "generate_until", "requests"}},
      {"embedding", {"embed"}},
      {"cross_encoder", {"score_pair"}, {"activation", "truncation"}},
      {"colbert", {"score_pair"}, {"compat"}},
      {"monot5", {"score_pair"}, {"compat", "tokens"}},
      {"upr", {"score_pair"}, {"prefix", "suffix"}},
      {"tart", {"score_pair"}, {"instruction"}},
      {"llm_reranker", {"score_pair"}, {"normalize", "prompt"}},
      {"rankgpt", {"score_pair"}, {"step", "window"}},
      {"longllmlingua", {"compress"}},
  };
  std::string known;
  for (const KindRow& row : table) {
    if (row.name == name) return row;
    known += (known.empty() ? "" : ", ") + row.name;
  }
  throw UsageError(where + ": kind '" + name + "' is not known (known: " + known + ")");
}

bool can_answer(const Module& module, const Task& task) {
  const auto& types = find_kind_row(module.kind, module.name).request_types;
  const bool named = !module.tasks || std::ranges::find(*module.tasks, task.name) != module.tasks->end();
  return named && std::ranges::find(types, task_type_of(task).request_type()) != types.end();
}

}  // namespace proctor
