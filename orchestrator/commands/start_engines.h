// `proctor plan --start-engines`: each guest engine is started once, with two requests, before a long run relies on it.
#pragma once

#include <string>

#include "orchestrator/planning/work.h"

namespace proctor {

/// Starts the engines one after another on this machine's devices, each for its module: load, two requests of its
/// first task, teardown. A line for each, in the modules' order. `temporary`: of the engines' logs, kept for those that
/// fail. Throws EnvironmentError naming those that failed, with `text` of the others in front.
std::string start_engines(const Work& work, const std::string& temporary);

}  // namespace proctor
