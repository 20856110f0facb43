// What mpirun and srun say of the ranks that they start, in the environment: known before MPI is, and without it.
#pragma once

#include <string>

#include "orchestrator/ranks/node_place.h"

namespace proctor {

struct LauncherEnvironment {
  int ranks = 1;
  std::string told_by;  ///< the variable
  int components = 1;   ///< of a heterogeneous Slurm job
};
LauncherEnvironment launcher_environment();
/// Throws EnvironmentError for ranks without a common world, and for heterogeneous jobs.
void refuse_singletons(const LauncherEnvironment& launch, int world_size);

/// What to tell the user where a Slurm job has more nodes than this run can reach; "" otherwise.
std::string idle_nodes(int world_size);

/// Started by mpirun or srun with PMI or PMIx (by its environment).
bool under_launcher();
/// Of this rank on its node, as Open MPI's or Hydra's environment has it; alone where it says nothing.
NodePlace launcher_place();
/// The rank that the launcher's environment names, before MPI_Init; 0 without one.
int launcher_rank();

}  // namespace proctor
