// What one guest leaves in /dev/shm: which entries are the guest's, and whether anybody still holds them. Engines name
// them as they like and drop them when they are killed, so that they would fill the node's memory until it reboots.
// Owned by the guest's watch, main thread.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "orchestrator/watch/process_table.h"

namespace proctor {

class SharedMemory {
 public:
  /// Beginning with a guest's life: what is in `folder` now is not the guest's.
  explicit SharedMemory(const std::string& folder);

  /// Notes what the processes of the tree have mapped or opened: it is theirs if it came in the guest's life.
  void note(const std::vector<Process>& tree);

  /// `others`: an entry is the guest's if it was noted, or its name holds a pid of the tree as a word of digits.
  /// `none`: any entry is.
  enum class Company { others, none };
  /// Unlinks the entries that are the guest's and that no living process holds, but those `ended`, which were killed:
  /// files of this user, not folders. Returns them with their sizes: "/dev/shm/psm_1 (3145728 bytes)". Reads the
  /// mappings of every process of this machine, if there is anything to remove. What other users' processes hold is not
  /// known.
  std::vector<std::string> remove_left(const ProcessTable& processes, const std::set<ProcessId>& ended,
                                       Company company);

 private:
  struct Entry {
    std::string name;
    ino_t inode = 0;  // tells it from a later one of this name
    auto operator<=>(const Entry&) const = default;
  };
  std::map<std::string, struct stat> files() const;
  std::set<std::string> held_by(pid_t pid) const;
  bool names_its_pid(const std::string& name) const;

  std::string folder_;  // without a symbolic link in it, as /proc gives it
  std::set<Entry> before_, held_;
  std::set<pid_t> pids_;
};

}  // namespace proctor
