// Orphans of a guest, as children of this process. Without a subreaper they would become children of init, which in a
// container may be anybody, and reap nothing.
#pragma once

#include <sys/types.h>

#include <functional>
#include <vector>

namespace proctor {

/// Makes this process the parent of every descendant whose own parent ends, for its whole life; children do not inherit
/// it. False where the kernel refuses. Once, before the first guest is started.
bool become_subreaper();

/// Reaps the children that have ended and that this process did not start, and returns their pids. Never blocks; one
/// system call where nothing has ended. `ours`: true of every child that this process has started and not reaped
/// itself; it is asked about ended ones only. Such a child must keep its status for whoever waits for it, so
/// waitpid(-1) will not do. On rank 0 sidecars are such children too. Any thread that starts no children meanwhile.
std::vector<pid_t> reap_strays(const std::function<bool(pid_t)>& ours);

}  // namespace proctor
