// Who owns a run directory: owner.json, on any file system, also one without locks. Made under another name and linked
// into place, so that nobody reads half of it; its counter grows while its owner lives; a stale one is taken over by
// renaming it, which only one contender can do. Acquired and released by the main thread, beaten and verified by the
// store's thread, until that is there by KeptBeating's.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>

#include "orchestrator/store/run_directory.h"

namespace proctor {

struct Owner {
  std::string host, boot_id, start_time;  ///< start_time: of the process, clock ticks since boot
  std::string pid_namespace;              ///< a process number means something only within its own
  std::int64_t pid = 0;
  std::string job_id;              ///< Slurm's, "" without
  std::int64_t restart_count = 0;  /// SLURM_RESTART_COUNT
  std::string token;               ///< random
  std::uint64_t counter = 0;       ///< grows every kBeat
  bool operator==(const Owner&) const = default;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Owner, host, boot_id, start_time, pid_namespace, pid, job_id, restart_count, token,
                                   counter)

/// This process, with a token of its own.
Owner this_owner();
/// nullopt: there is none, or it is not readable.
std::optional<Owner> read_owner(const RunDirectory& directory);
/// Why the owner is surely dead, as far as can be told at once: it ran on this boot, its process could be seen from
/// here and is gone; or it was an earlier start of this very job. "" otherwise.
std::string dead_because(const Owner& owner, const Owner& contender);
/// On this machine's boot, and its process lives.
bool surely_alive(const Owner& owner, const Owner& contender);

struct LockPatience {
  std::chrono::duration<double> stale = std::chrono::seconds(60);  ///< a counter that stands still for so long is dead
  std::chrono::duration<double> poll = std::chrono::seconds(1);
  std::function<bool()> give_up = {};  ///< asked while waiting
};

/// Held while a run owns its directory.
class RunLock {
 public:
  static constexpr std::chrono::seconds kBeat{5};

  /// Throws EnvironmentError saying who has it. `say` is told when it has to wait for a sign of life.
  explicit RunLock(const RunDirectory& directory, const LockPatience& patience = LockPatience(),
                   const std::function<void(const std::string&)>& say = {});
  ~RunLock();                        ///< removes it, if it is still ours
  RunLock(const RunLock&) = delete;  // one owner
  RunLock& operator=(const RunLock&) = delete;

  /// Throws LockLost if somebody else has taken the directory over: nothing may be written any more.
  void verify() const;
  /// Shows that the owner lives.
  void beat();

 private:
  bool make();
  void take_over(const Owner& stale) const;

  RunDirectory directory_;
  Owner mine_;
  int descriptor_ = -1;  // of our owner.json, whatever its name is by then
};

/// Beats from a thread of its own, until it ends: while a large run.db is read, before the store's thread is there.
class KeptBeating {
 public:
  explicit KeptBeating(RunLock& lock, std::chrono::duration<double> every = RunLock::kBeat);

 private:
  std::jthread thread_;
};

}  // namespace proctor
