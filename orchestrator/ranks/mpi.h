// The MPI calls that are used, behind an interface: the real one lies in libproctor_mpi.so (mpi_library.cc), which is
// opened only where a launcher started this process, so that one process needs no MPI. Main thread only.
#pragma once

#include <optional>
#include <string>
#include <utility>

namespace proctor {

/// This process's place.
struct MpiWorld {
  int rank = 0, size = 1;
  int ranks_on_node = 1;
  int node_rank = 0;  ///< among the ranks of its node
};

class Mpi {
 public:
  virtual ~Mpi() = default;
  /// One line, as the library names itself. Before init() too.
  virtual std::string version() = 0;
  /// MPI_Init_thread. This and what follows throws EnvironmentError with MPI's words.
  virtual MpiWorld init(int& argc, char**& argv) = 0;
  /// Queues a message; never waits.
  virtual void send(int rank, std::string bytes) = 0;
  /// Frees what has been sent; true if nothing is left.
  virtual bool all_sent() = 0;
  /// The next message that has come, from any rank; never waits.
  virtual std::optional<std::pair<int, std::string>> receive() = 0;
  virtual void finalize() = 0;       ///< collective
  virtual void abort(int code) = 0;  ///< ends every rank
};

using GetMpi = Mpi* (*)();  ///< "proctor_mpi" of the module

}  // namespace proctor
