#include "orchestrator/ranks/mpi_session.h"

#include <dlfcn.h>

#include <cstdlib>

#include "orchestrator/ranks/launcher.h"
#include "orchestrator/ranks/start_watch.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/loadable.h"
#include "sharding/protocol/wire.h"

namespace proctor {
namespace {

/// Opens the module, which stays open. Global: MPI opens modules of its own that look for its symbols.
Mpi& open_mpi() {
  void* module = ::dlopen(module_path("libproctor_mpi.so").c_str(), RTLD_NOW | RTLD_GLOBAL);
  const auto get = module ? reinterpret_cast<GetMpi>(::dlsym(module, "proctor_mpi")) : nullptr;
  if (!get)
    throw EnvironmentError(std::string("no MPI library: ") + ::dlerror() +
                           "; several ranks need Open MPI 4.1 or 5.0 (Debian: apt-get install openmpi-bin; a venv: pip "
                           "install 'proctor-eval[mpi]'). One process, without mpirun or srun, needs none");
  return *get();
}

}  // namespace

std::string mpi_version() {
  try {
    return open_mpi().version();
  } catch (const EnvironmentError& error) {
    return error.what();
  }
}

MpiSession::MpiSession(int& argc, char**& argv, ErrorStyle errors) {
  refuse_singletons({1, "", launcher_environment().components}, 1);
  if (under_launcher()) {
    Mpi& mpi = open_mpi();
    {
      const StartWatch watch(start_deadline(), errors);
      world_ = mpi.init(argc, argv);
    }
    // Open MPI's split by shared memory leaves ranks alone on a node where its transport is not to be had.
    if (const NodePlace place = launcher_place(); static_cast<int>(place.ranks) > world_.ranks_on_node) {
      world_.node_rank = static_cast<int>(place.rank);
      world_.ranks_on_node = static_cast<int>(place.ranks);
    }
    mpi_ = &mpi;
  }
  refuse_singletons(launcher_environment(), size());
}

MpiSession::~MpiSession() { finalize(); }

void MpiSession::send(int rank, std::string bytes) {
  if (bytes.size() > kMaxFrameBytes)
    throw Error(Fault::internal, "a message of " + std::to_string(bytes.size()) + " bytes is past the bound");
  mpi_->send(rank, std::move(bytes));
}

bool MpiSession::all_sent() { return !mpi_ || mpi_->all_sent(); }

std::optional<std::pair<int, std::string>> MpiSession::receive() {
  if (!mpi_ || size() == 1) return std::nullopt;
  return mpi_->receive();
}

void MpiSession::finalize() {
  if (mpi_) std::exchange(mpi_, nullptr)->finalize();
}

void MpiSession::abort(int code) {
  if (mpi_) mpi_->abort(code);
  std::_Exit(code);
}

}  // namespace proctor
