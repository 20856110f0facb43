// The programs of guest engines: which Python runs those that are known, and that none runs unasked.
#pragma once

#include <span>

#include "sharding/protocol/module.h"

namespace proctor {

enum class AllowEngines { no, yes };

/// Fills in the commands and environments of the modules' engines; `python`: machine.python of the suite, or "". Throws
/// UsageError naming a module whose engine is not allowed.
void resolve_engines(std::span<Module> modules, const std::string& python, AllowEngines allow);

}  // namespace proctor
