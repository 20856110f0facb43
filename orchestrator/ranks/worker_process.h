// A worker as a child process: started by posix_spawn over a socketpair in a process group of its own, its environment
// freed of launchers' variables and of what changes arithmetic, its stderr in its log. Owned by the agent, main thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "sharding/protocol/channel.h"

namespace proctor {

struct WorkerCommand {
  std::string binary;
  std::string device;  ///< auto, cpu or cuda
  std::uint32_t index = 0, threads = 1;
  std::uint64_t memory_limit_bytes = 0;
  std::string log_file;
  std::vector<std::string> guest = {};        ///< a guest's command; empty: `binary`
  std::vector<std::string> environment = {};  ///< "NAME=value", beside what workers get
};

class WorkerProcess {
 public:
  /// Throws EnvironmentError if it cannot be started.
  explicit WorkerProcess(const WorkerCommand& command);
  ~WorkerProcess();                              ///< kills and reaps what still runs
  WorkerProcess(const WorkerProcess&) = delete;  // one owner of the process
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  Channel& channel() { return channel_; }
  pid_t pid() const { return pid_; }
  void kill();  ///< SIGKILL to its group
  /// How it ended ("signal 9 (Killed)", "exit code 1"), once it has.
  std::optional<std::string> ended();
  int signal() const { return signal_; }  ///< that ended it, or 0

 private:
  explicit WorkerProcess(const WorkerCommand& command, std::pair<Channel, Channel> ends);
  Channel channel_;
  pid_t pid_ = -1;
  std::optional<std::string> how_;
  int signal_ = 0;
};

/// proctor-worker beside this binary.
std::string worker_binary_path();

/// The environment of a worker: this process's less what must not reach it ("NAME=value").
std::vector<std::string> worker_environment(const char* const* environment);
/// A guest's: that, less what launchers tell ranks, with `own` in the place of variables of the same names.
std::vector<std::string> guest_environment(const char* const* environment, const std::vector<std::string>& own);

/// Runs a command to its end and returns its standard output; its standard error and exit status come back too.
struct CommandResult {
  int status = 0;  ///< exit code, or 128 + signal
  std::string output, error;
};
/// Throws EnvironmentError if it cannot be started, or still writes after `deadline`: it is killed then.
/// `environment`: "NAME=value", beside what workers get.
CommandResult run_command(const std::vector<std::string>& arguments, std::chrono::duration<double> deadline,
                          const std::vector<std::string>& environment = {});
/// The same for a question that may be asked again: twice more, if its process is killed by others.
CommandResult ask_command(const std::vector<std::string>& arguments, std::chrono::duration<double> deadline,
                          const std::vector<std::string>& environment = {});

}  // namespace proctor
