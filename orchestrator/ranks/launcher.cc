#include "orchestrator/ranks/launcher.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

int number(const char* name, int fallback) {
  const char* value = std::getenv(name);
  return value ? std::atoi(value) : fallback;
}

}  // namespace

bool under_launcher() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_FD"})
    if (std::getenv(name)) return true;
  return false;
}

int launcher_rank() {
  const int in_step = std::getenv("SLURM_STEP_ID") ? number("SLURM_PROCID", 0) : 0;
  return number("OMPI_COMM_WORLD_RANK", number("PMIX_RANK", number("PMI_RANK", in_step)));
}

NodePlace launcher_place() {
  for (const auto& [rank, ranks] : {std::pair("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
                                    std::pair("MPI_LOCALRANKID", "MPI_LOCALNRANKS")})
    if (const int count = number(ranks, 0); count > 0)
      return {static_cast<std::uint32_t>(std::max(0, number(rank, 0))), static_cast<std::uint32_t>(count)};
  return {};
}

LauncherEnvironment launcher_environment() {
  LauncherEnvironment launch;
  launch.components = number("SLURM_HET_SIZE", 1);
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"})
    if (const int ranks = number(name, 0)) return {ranks, name, launch.components};
  return {number("SLURM_STEP_NUM_TASKS", 1), "SLURM_STEP_NUM_TASKS", launch.components};
}

void refuse_singletons(const LauncherEnvironment& launch, int world_size) {
  if (launch.components > 1)
    throw EnvironmentError("this is a heterogeneous Slurm job of " + std::to_string(launch.components) +
                           " components, and one run needs one kind of node; submit an ordinary job, or one job and "
                           "suite for each component");
  if (world_size == 1 && launch.ranks > 1)
    throw EnvironmentError("started as " + std::to_string(launch.ranks) + " singletons (" + launch.told_by + "=" +
                           std::to_string(launch.ranks) +
                           ", but no common MPI world): each would run the whole suite; use srun --mpi=pmix, or the "
                           "mpirun of the MPI that proctor was built with");
}

std::string idle_nodes(int world_size) {
  const int nodes = number("SLURM_JOB_NUM_NODES", 1);
  if (world_size > 1 || nodes <= 1 || std::getenv("SLURM_STEP_ID")) return "";
  return "this Slurm job has " + std::to_string(nodes) +
         " nodes and this run uses one of them; srun --mpi=pmix or mpirun would start a rank on each";
}

}  // namespace proctor
