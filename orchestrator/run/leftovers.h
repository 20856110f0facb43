// What earlier starts wrote into a run directory for modules and tasks that its suite no longer has.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/planning/work.h"
#include "orchestrator/store/run_directory.h"
#include "orchestrator/store/run_store.h"

namespace proctor {

/// Of modules that the suite no longer has.
enum class GoneModules { keep, remove };

/// Removes files of results/, samples/ and responses/ that the work does not write, of what this run wrote: nothing of
/// the user's, nothing behind links. Returns the modules whose files were kept though the suite no longer has them.
std::vector<std::string> remove_leftovers(const RunDirectory& directory, const Work& work, RunStore& store,
                                          GoneModules gone);

}  // namespace proctor
