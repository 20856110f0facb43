// `proctor run SUITE`: every rank comes here. Rank 0 prepares, orchestrates and reports; the others are node agents.
#pragma once

#include "orchestrator/run/run_options.h"

namespace proctor {

/// Returns the exit code. argc, argv: main's, for MPI_Init.
int run(int argc, char** argv, const RunOptions& options);

}  // namespace proctor
