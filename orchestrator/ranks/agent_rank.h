// The loop of every rank but 0: an agent that obeys rank 0 until it is told to leave.
#pragma once

#include <string>

#include "orchestrator/ranks/mpi_session.h"

namespace proctor {

/// Returns the exit code. A signal to this rank is told to rank 0, which alone decides.
int run_agent(MpiSession& mpi, const std::string& worker_binary);

/// The same for a rank 0 that runs one suite after another: an agent for each, until no_more_runs() has come.
int run_agents(MpiSession& mpi, const std::string& worker_binary);
/// By rank 0, to every other rank: its agent, if there still is one, leaves at once, and none follows.
void no_more_runs(MpiSession& mpi);

}  // namespace proctor
