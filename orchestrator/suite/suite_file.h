// suite.yaml and the task files it names -> plain structs. Everything that can be wrong is said here, before anything
// starts, with file:line:column, what was expected, and the nearest name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "orchestrator/spec/suite.h"
#include "orchestrator/spec/suite_source.h"

namespace proctor {

struct SuiteFile {
  Suite suite;
  std::string resolved;  ///< YAML of the suite with absolute paths and --set applied: the run directory's suite.yaml
  std::vector<std::string> notes;  ///< for the user: modules and tasks that nothing will be computed of
};

/// `settings`: --set's "modules.NAME.dtype=bfloat16". Throws UsageError or InputError.
SuiteFile read_suite(const SuiteSource& source, const std::vector<std::string>& settings);
inline SuiteFile read_suite(const std::string& path, const std::vector<std::string>& settings) {
  return read_suite(SuiteSource{path, {}, {}, {}, "", {}}, settings);
}

/// Some module is asked in conversation.
bool talks(const Suite& suite);
/// The day of modules that name none, also in `resolved`, so that a resumed run has it.
void set_chat_date(SuiteFile& file, const std::string& date);
/// What the suite.yaml of a run directory has; nothing where there is none.
std::optional<std::string> chat_date_in(const std::string& path);

}  // namespace proctor
