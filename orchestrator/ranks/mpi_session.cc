#include "orchestrator/ranks/mpi_session.h"

#include <mpi.h>

#include <cstdlib>

#include "sharding/protocol/error.h"
#include "sharding/protocol/wire.h"

#define PROCTOR_MPI(call)                                                       \
  do {                                                                          \
    if (const int error_ = (call); error_ != MPI_SUCCESS)                       \
      throw proctor::EnvironmentError(std::string(#call ": ") + words(error_)); \
  } while (false)

namespace proctor {
namespace {

constexpr int kTag = 1;

std::string words(int error) {
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(error, text, &length);
  return {text, static_cast<std::size_t>(length)};
}

int number(const char* name, int fallback) {
  const char* value = std::getenv(name);
  return value ? std::atoi(value) : fallback;
}

}  // namespace

struct MpiSession::Sending {
  std::string bytes;
  MPI_Request request = MPI_REQUEST_NULL;
};

std::string mpi_library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  if (MPI_Get_library_version(text, &length) != MPI_SUCCESS) return "does not tell its version";
  const std::string all(text, static_cast<std::size_t>(length));
  return all.substr(0, all.find_first_of(",\n"));
}

bool under_launcher() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_FD"})
    if (std::getenv(name)) return true;
  return false;
}

int launcher_rank() {
  const int in_step = std::getenv("SLURM_STEP_ID") ? number("SLURM_PROCID", 0) : 0;
  return number("OMPI_COMM_WORLD_RANK", number("PMIX_RANK", number("PMI_RANK", in_step)));
}

LaunchedAs launched_as() {
  LaunchedAs launch;
  launch.components = number("SLURM_HET_SIZE", 1);
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"})
    if (const int ranks = number(name, 0)) return {ranks, name, launch.components};
  return {number("SLURM_STEP_NUM_TASKS", 1), "SLURM_STEP_NUM_TASKS", launch.components};
}

void refuse_singletons(const LaunchedAs& launch, int world_size) {
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

MpiSession::MpiSession(int& argc, char**& argv) {
  refuse_singletons({1, "", launched_as().components}, 1);
  if (under_launcher()) {
    int provided = 0;
    PROCTOR_MPI(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided));
    initialized_ = true;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    PROCTOR_MPI(MPI_Comm_rank(MPI_COMM_WORLD, &rank_));
    PROCTOR_MPI(MPI_Comm_size(MPI_COMM_WORLD, &size_));
    MPI_Comm node = MPI_COMM_NULL;
    PROCTOR_MPI(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node));
    PROCTOR_MPI(MPI_Comm_size(node, &ranks_on_node_));
    PROCTOR_MPI(MPI_Comm_rank(node, &node_rank_));
    MPI_Comm_free(&node);
  }
  refuse_singletons(launched_as(), size_);
}

MpiSession::~MpiSession() {
  if (initialized_) finalize();
}

void MpiSession::send(int rank, std::string bytes) {
  if (bytes.size() > kMaxFrameBytes)
    throw Error(Fault::internal, "a message of " + std::to_string(bytes.size()) + " bytes is past the bound");
  auto sending = std::make_unique<Sending>();
  sending->bytes = std::move(bytes);
  PROCTOR_MPI(MPI_Isend(sending->bytes.data(), static_cast<int>(sending->bytes.size()), MPI_BYTE, rank, kTag,
                        MPI_COMM_WORLD, &sending->request));
  sending_.push_back(std::move(sending));
}

void MpiSession::progress() {
  while (!sending_.empty()) {
    int done = 0;
    PROCTOR_MPI(MPI_Test(&sending_.front()->request, &done, MPI_STATUS_IGNORE));
    if (!done) return;
    sending_.pop_front();
  }
}

bool MpiSession::all_sent() {
  progress();
  return sending_.empty();
}

std::optional<std::pair<int, std::string>> MpiSession::receive() {
  if (!initialized_ || size_ == 1) return std::nullopt;
  int there = 0, bytes = 0;
  MPI_Status status;
  PROCTOR_MPI(MPI_Iprobe(MPI_ANY_SOURCE, kTag, MPI_COMM_WORLD, &there, &status));
  if (!there) return std::nullopt;
  PROCTOR_MPI(MPI_Get_count(&status, MPI_BYTE, &bytes));
  std::string message(static_cast<std::size_t>(bytes), '\0');
  PROCTOR_MPI(MPI_Recv(message.data(), bytes, MPI_BYTE, status.MPI_SOURCE, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE));
  return std::pair(status.MPI_SOURCE, std::move(message));
}

void MpiSession::finalize() {
  if (!initialized_) return;
  initialized_ = false;
  MPI_Finalize();
}

void MpiSession::abort(int code) {
  if (initialized_) MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);
}

}  // namespace proctor
