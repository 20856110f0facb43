// The kinds of modules, one table for both floors: what each answers, what it is made of, which options a module of it
// may have. A new kind is a row here and one file in worker/kinds with its row there (open and check); one without a
// model has them in orchestrator/retrievers.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sharding/protocol/ask.h"

namespace proctor {

struct KindRow {
  std::string name;
  std::vector<RequestType> answers;
  std::string needs;                      ///< what a folder has to hold, for messages
  std::vector<std::string> options = {};  ///< names; docs/modules.md says what they do
  std::string task_type = {};             ///< of a kind without a model: the tasks that it answers; "": it has a model
  bool has_model() const { return task_type.empty(); }
};

std::span<const KindRow> kinds();
/// nullptr: there is no such kind.
const KindRow* find_kind_row(const std::string& name);
/// Whether modules of this kind have a model, and so a path; false: rank 0 computes them itself.
bool has_model(const std::string& kind);
/// "generator, embedding, ..."
std::string kind_names();

}  // namespace proctor
