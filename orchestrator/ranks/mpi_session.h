// MPI, point to point, never waiting: Isend with an outbox, Iprobe. Without a launcher there is no MPI_Init and one
// rank. Main thread only.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace proctor {

class MpiSession {
 public:
  /// MPI_Init_thread if a launcher started this process. Throws EnvironmentError where N ranks were started without a
  /// common world.
  MpiSession(int& argc, char**& argv);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;  // one world
  MpiSession& operator=(const MpiSession&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  int ranks_on_node() const { return ranks_on_node_; }
  int node_rank() const { return node_rank_; }  ///< this rank's place among those of its node

  void send(int rank, std::string bytes);
  /// The next message that has come, from any rank.
  std::optional<std::pair<int, std::string>> receive();
  void progress();  ///< frees what has been sent
  bool all_sent();
  void finalize();                    ///< collective; after it nothing may be sent
  [[noreturn]] void abort(int code);  ///< ends every rank

 private:
  struct Sending;
  int rank_ = 0, size_ = 1, ranks_on_node_ = 1, node_rank_ = 0;
  bool initialized_ = false;
  std::deque<std::unique_ptr<Sending>> sending_;
};

/// The MPI library in one line, as it names itself.
std::string mpi_library();

/// What the launcher's environment says of the world, before MPI_Init.
struct LaunchedAs {
  int ranks = 1;
  std::string told_by;  ///< the variable
  int components = 1;   ///< of a heterogeneous Slurm job
};
LaunchedAs launched_as();
/// Throws EnvironmentError for ranks without a common world, and for heterogeneous jobs.
void refuse_singletons(const LaunchedAs& launch, int world_size);

/// What to tell the user where a Slurm job has more nodes than this run can reach; "" otherwise.
std::string idle_nodes(int world_size);

/// Started by mpirun or srun with PMI or PMIx (by its environment).
bool under_launcher();
/// The rank that the launcher's environment names, before MPI_Init; 0 without one.
int launcher_rank();

}  // namespace proctor
