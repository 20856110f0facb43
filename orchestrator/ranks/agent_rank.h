// The loop of every rank but 0: an agent that obeys rank 0 until it is told to leave.
#pragma once

#include <string>

#include "orchestrator/ranks/mpi_session.h"

namespace proctor {

/// Returns the exit code. A signal to this rank is told to rank 0, which alone decides.
int run_agent(MpiSession& mpi, const std::string& worker_binary);

}  // namespace proctor
