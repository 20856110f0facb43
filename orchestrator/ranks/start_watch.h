// Ranks meet in MPI_Init, which waits for all of them, silently and for ever. This says after a while which of them are
// here, and ends a wait that is past its deadline.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "orchestrator/base/error_line.h"

namespace proctor {

/// A rank that the launcher started on this node, as /proc shows it.
struct LocalRank {
  int rank = 0;
  long pid = 0;
  std::string program;  ///< the name of its executable
  auto operator<=>(const LocalRank&) const = default;
};
/// Those of the job `name_space` (PMIX_NAMESPACE), by rank; a rank's process is the first of its launcher's children.
std::vector<LocalRank> local_ranks(const std::filesystem::path& proc, const std::string& name_space);

/// "rank 0 of 3 on n1 has waited 30 s for the others to start (MPI_Init); here, rank 1 is pid 7 (sleep), ...".
std::string waiting_text(int rank, int ranks, const std::string& host, const std::vector<LocalRank>& here,
                         const std::string& program, double seconds);

/// How long a start may take: PROCTOR_START_DEADLINE seconds, 600 without it. Throws UsageError for no number.
std::chrono::duration<double> start_deadline();

/// While it lives, ranks are being waited for. After 30 s, or half the deadline, rank 0 says so, as does the first rank
/// of a node that sees who is missing; at the deadline the process ends with exit code 4, and mpirun ends the others.
class StartWatch {
 public:
  StartWatch(std::chrono::duration<double> deadline, ErrorStyle errors);
  ~StartWatch();
  StartWatch(const StartWatch&) = delete;
  StartWatch& operator=(const StartWatch&) = delete;

 private:
  void watch(std::chrono::duration<double> deadline, ErrorStyle errors);
  std::mutex mutex_;
  std::condition_variable ended_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace proctor
