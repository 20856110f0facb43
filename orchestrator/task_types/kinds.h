// The orchestrator's side of the kinds: which request types each answers, which options a module of it may have.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/spec/suite.h"

namespace proctor {

struct KindRow {
  std::string name;
  std::vector<std::string> request_types;
  std::vector<std::string> options = {};  ///< names; docs/modules.md says what they do
};

/// Throws UsageError naming the kinds there are; `where` names file and line.
const KindRow& find_kind_row(const std::string& name, const std::string& where);

/// Whether the module's kind can answer such a task, and the module does not leave it out.
bool can_answer(const Module& module, const Task& task);

}  // namespace proctor
