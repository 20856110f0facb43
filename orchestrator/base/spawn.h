// Starts a child, first of a process group of its own, with the default of every signal.
#pragma once

#include <spawn.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace proctor {

/// What its descriptors are, in the order of the calls (posix_spawn_file_actions_*).
class FileActions {
 public:
  FileActions() { posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  void open(int descriptor, const char* path, int flags, mode_t mode = 0) {
    posix_spawn_file_actions_addopen(&actions_, descriptor, path, flags, mode);
  }
  void copy(int from, int to) { posix_spawn_file_actions_adddup2(&actions_, from, to); }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

/// `held`: INT, TERM, HUP, USR1 and USR2 are blocked until the child ignores them: srun sends them to every process of
/// its step.
enum class SignalsOfChild { held, free };

/// `arguments`: the program, by a path or on the PATH, first. Throws EnvironmentError where it cannot be started.
pid_t spawn(std::vector<std::string> arguments, std::vector<std::string> environment, const FileActions& files,
            SignalsOfChild signals);
/// This process's.
std::vector<std::string> own_environment();
/// Whether spawn() has ever begun a child of this number. Any thread.
bool was_spawned_here(pid_t pid);

}  // namespace proctor
