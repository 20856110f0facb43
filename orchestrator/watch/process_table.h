// The processes of this machine, or of this container, as one walk of /proc finds them. Owned by the agent, which
// shares it among its guests' watches; main thread.
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "sharding/protocol/moment.h"

namespace proctor {

/// Tells a process from a later one with its number.
struct ProcessId {
  pid_t pid = 0;
  std::uint64_t started = 0;  ///< clock ticks since boot
  auto operator<=>(const ProcessId&) const = default;
};

struct Process {
  ProcessId id;
  pid_t parent = 0, group = 0;
  std::string name;  ///< at most 15 bytes, printable
  std::uint32_t threads = 0;
  bool alive = true;                ///< a zombie is not, unless its first thread alone has ended
  std::optional<std::string> slot;  ///< of PROCTOR_SLOT in its environment, "" for none; absent: not read yet
};

/// "sleep (4711)"
std::string text_of(const Process& process);

/// Without its `slot`. Nothing if there is no such process, or it is a thread of the kernel.
std::optional<Process> read_process(pid_t pid);

class ProcessTable {
 public:
  /// Reads every process's stat; the environment of each only once, as it is what a process is born with. Some 20 us a
  /// process. Those that vanish meanwhile are left out.
  void walk();
  /// Unless it was walked at this very `now`: guests that are sampled together share a walk.
  void walk_at(Moment now);
  const std::map<pid_t, Process>& all() const { return all_; }

 private:
  std::map<pid_t, Process> all_;
  std::optional<Moment> walked_at_;
};

}  // namespace proctor
