#include "orchestrator/watch/process_tree.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>

#include "orchestrator/watch/proc_file.h"
#include "sharding/protocol/descriptor.h"

namespace proctor {
namespace {

/// A group's number is not given away while anybody is in it. Once it is empty a stranger may get it, and lead it.
bool has_its_group(const ProcessTable& processes, const ProcessId& root) {
  const auto leader = processes.all().find(root.pid);
  return leader == processes.all().end() || leader->second.id == root;
}

/// Of /proc/PID/smaps_rollup, in bytes; nothing where the kernel does not tell it.
std::optional<std::uint64_t> rollup_bytes(const std::string& rollup, const std::string& key) {
  const std::size_t line = rollup.find("\n" + key + ":");
  unsigned long long kibibytes = 0;
  if (line == std::string::npos) return std::nullopt;
  if (std::sscanf(rollup.c_str() + line + key.size() + 2, "%llu kB", &kibibytes) != 1) return std::nullopt;
  return kibibytes << 10;
}

/// Without the pages of mapped files (Pss_File): the share of a library grows when another process that has it mapped
/// ends, and nothing has leaked.
std::uint64_t pss_bytes(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  if (const auto rollup = read_whole(folder + "/smaps_rollup"))
    if (const auto pss = rollup_bytes(*rollup, "Pss"))
      return *pss - std::min(*pss, rollup_bytes(*rollup, "Pss_File").value_or(0));
  const auto statm = read_whole(folder + "/statm");
  unsigned long long pages = 0;
  if (!statm || std::sscanf(statm->c_str(), "%*u %llu", &pages) != 1) return 0;
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

std::vector<Process> find_tree(const ProcessTable& processes, const TreeMarks& marks) {
  const bool group = has_its_group(processes, marks.root);
  const auto is_marked = [&](const Process& process) {
    return process.id == marks.root || marks.seen.contains(process.id) ||
           (group && process.group == marks.root.pid && process.id.started >= marks.root.started) ||
           (!marks.slot.empty() && process.slot == marks.slot);
  };
  std::multimap<pid_t, const Process*> children;
  std::vector<const Process*> found;
  std::set<pid_t> pids;
  const auto add = [&](const Process& process) {
    if (process.id.pid != ::getpid() && pids.insert(process.id.pid).second) found.push_back(&process);
  };
  for (const auto& [pid, process] : processes.all()) {
    children.emplace(process.parent, &process);
    if (is_marked(process)) add(process);
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    const ProcessId parent = found[i]->id;
    const auto [first, end] = children.equal_range(parent.pid);
    for (auto child = first; child != end; ++child)
      if (child->second->id.started >= parent.started) add(*child->second);  // else a number's new owner
  }
  std::vector<Process> tree;
  for (pid_t pid : pids)
    if (const Process& process = processes.all().at(pid); process.alive) tree.push_back(process);
  return tree;
}

TreeUse measure(const std::vector<Process>& tree) {
  TreeUse use;
  for (const Process& process : tree) {
    ++use.processes;
    use.threads += process.threads;
    use.pss_bytes += pss_bytes(process.id.pid);
    use.descriptors += static_cast<std::uint32_t>(names_in("/proc/" + std::to_string(process.id.pid) + "/fd").size());
  }
  return use;
}

bool kill_process(const ProcessId& id) {
  // The handle is of whoever has the number now, and of nobody later: if that is who was meant, nobody else is hit.
  const Descriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, id.pid, 0)));
  if (handle.value() < 0 && errno == ESRCH) return false;
  const std::optional<Process> current = read_process(id.pid);
  if (!current || current->id != id) return false;
  if (handle.value() >= 0) return ::syscall(SYS_pidfd_send_signal, handle.value(), SIGKILL, nullptr, 0) == 0;
  return ::kill(id.pid, SIGKILL) == 0;  // Linux before 5.3, or a container that forbids handles: as near as can be
}

}  // namespace proctor
