// `proctor show DIR`: a run, running or finished, from its files alone.
#pragma once

#include <iosfwd>

#include "orchestrator/commands/options.h"

namespace proctor {

/// Throws UsageError where DIR is no run directory.
void show(const ShowOptions& options, std::ostream& out);

}  // namespace proctor
