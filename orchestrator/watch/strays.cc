#include "orchestrator/watch/strays.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "orchestrator/watch/proc_file.h"
#include "orchestrator/watch/process_table.h"

namespace proctor {

bool become_subreaper() { return ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0; }

std::vector<pid_t> reap_strays(const std::function<bool(pid_t)>& ours) {
  std::vector<pid_t> reaped;
  // WNOWAIT leaves it as it is, and always shows the same child first, which may be ours: so it says only whether
  // there is anything to reap, and the children are found by their parent.
  siginfo_t ended{};
  if (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) return reaped;
  for (const pid_t pid : pids_in_proc()) {
    const std::optional<Process> process = read_process(pid);
    if (!process || process->alive || process->parent != ::getpid() || ours(pid)) continue;
    if (::waitpid(pid, nullptr, WNOHANG) == pid) reaped.push_back(pid);
  }
  return reaped;
}

}  // namespace proctor
