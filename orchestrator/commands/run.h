// `proctor run SUITE`: every rank comes here. Rank 0 prepares, orchestrates and reports; the others are node agents.
#pragma once

#include <iosfwd>

#include "orchestrator/ranks/mpi_session.h"
#include "orchestrator/run/notices.h"
#include "orchestrator/run/run_options.h"

namespace proctor {

/// Returns the exit code. argc, argv: main's, for MPI_Init.
int run(int argc, char** argv, const RunOptions& options);

/// One run by rank 0, once the ranks have met. `results`: where its tables are printed at the end. Returns the exit
/// code; the other ranks' agents have left by then.
int run_suite(const RunOptions& options, MpiSession& mpi, std::ostream& results, Notices* notices = nullptr);

}  // namespace proctor
