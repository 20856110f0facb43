// Tasks over answers, once all of a suite's tasks and modules are known: who answers what they read. A task that reads
// each module's answers becomes a task for each of them, called `judge of a`.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/spec/suite.h"

namespace proctor {

/// Fills Upstream::sources. Throws UsageError with file:line:column: a task or module that is not there, a circle, a
/// module that does not answer the task, a metric that it has not got, answers of which nothing can be read. Returns
/// what the user should know.
std::vector<std::string> link_chains(Suite& suite);

}  // namespace proctor
