// The ranks of a run. Without a launcher there is one, and no MPI. Main thread only.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "orchestrator/base/error_line.h"
#include "orchestrator/ranks/mpi.h"
#include "orchestrator/ranks/node_place.h"

namespace proctor {

class MpiSession {
 public:
  /// MPI_Init_thread if a launcher started this process. Throws EnvironmentError where N ranks were started without a
  /// common world, or there is no MPI library to join it with.
  MpiSession(int& argc, char**& argv, ErrorStyle errors = ErrorStyle::text);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;  // one world
  MpiSession& operator=(const MpiSession&) = delete;

  int rank() const { return world_.rank; }
  int size() const { return world_.size; }
  int ranks_on_node() const { return world_.ranks_on_node; }
  /// Of this rank, on its node.
  NodePlace place() const {
    return {static_cast<std::uint32_t>(world_.node_rank), static_cast<std::uint32_t>(world_.ranks_on_node)};
  }

  void send(int rank, std::string bytes);
  /// The next message that has come, from any rank.
  std::optional<std::pair<int, std::string>> receive();
  void progress() { (void)all_sent(); }  ///< frees what has been sent
  bool all_sent();
  void finalize();                    ///< collective; after it nothing may be sent
  [[noreturn]] void abort(int code);  ///< ends every rank

 private:
  Mpi* mpi_ = nullptr;  // between init and finalize
  MpiWorld world_;
};

/// The MPI library in one line, as it names itself, or why there is none.
std::string mpi_version();

}  // namespace proctor
