// The process tree of a guest: whatever descends from it, also what has changed its group, lost its parent or cleaned
// its environment. What has done all three between two looks is not found. Any thread.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "orchestrator/watch/process_table.h"

namespace proctor {

/// How a process of the tree is known.
struct TreeMarks {
  ProcessId root;            ///< first of its process group
  std::string slot;          ///< of PROCTOR_SLOT, which its descendants inherit; "": none
  std::set<ProcessId> seen;  ///< were of the tree before
};

/// The living ones by pid: the root, its group, those with its slot, those seen before, and what descends from any of
/// them by parent links. Never this process.
std::vector<Process> find_tree(const ProcessTable& processes, const TreeMarks& marks);

struct TreeUse {
  /// Proportional share of shared pages, without those of files; resident bytes of those that do not tell it.
  std::uint64_t pss_bytes = 0;
  std::uint32_t processes = 0, threads = 0, descriptors = 0;
};
/// Linux walks the page tables of every process for its share: some 15 ms for each GiB that is resident in pages of
/// 4 KiB. A process whose mappings are locked holds the caller.
TreeUse measure(const std::vector<Process>& tree);

/// SIGKILL to this very process, never to a later one with its number. False if it is gone or not ours to kill.
bool kill_process(const ProcessId& id);

}  // namespace proctor
