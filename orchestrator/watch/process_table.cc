#include "orchestrator/watch/process_table.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <utility>

#include "orchestrator/watch/proc_file.h"

namespace proctor {
namespace {

std::string folder_of(pid_t pid) { return "/proc/" + std::to_string(pid); }

/// Absent while it starts a program, when there is none to read; "" if it may not be read.
std::optional<std::string> read_slot(pid_t pid) {
  constexpr std::string_view kName = "PROCTOR_SLOT=";
  const std::optional<std::string> environment = read_whole(folder_of(pid) + "/environ");
  if (!environment) return "";
  if (environment->empty()) return std::nullopt;
  for (std::size_t at = 0; at < environment->size();) {
    const std::size_t end = std::min(environment->find('\0', at), environment->size());
    const std::string_view entry = std::string_view(*environment).substr(at, end - at);
    if (entry.starts_with(kName)) return std::string(entry.substr(kName.size()));
    at = end + 1;
  }
  return "";
}

}  // namespace

std::string text_of(const Process& process) { return process.name + " (" + std::to_string(process.id.pid) + ")"; }

std::optional<Process> read_process(pid_t pid) {
  const std::optional<std::string> text = read_whole(folder_of(pid) + "/stat");
  if (!text) return std::nullopt;
  // proc_pid_stat(5): "pid (name) state parent group ...", and the name may hold parentheses itself.
  const std::size_t name = text->find('('), end = text->rfind(')');
  if (name == std::string::npos || end == std::string::npos) return std::nullopt;
  Process process;
  process.name = printable(text->substr(name + 1, end - name - 1));
  char state = '?';
  unsigned flags = 0, threads = 0;
  unsigned long long started = 0;
  const int read = std::sscanf(text->c_str() + end + 1,
                               " %c %d %d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %u %*d %llu", &state,
                               &process.parent, &process.group, &flags, &threads, &started);
  constexpr unsigned kKernelThread = 0x00200000;  // PF_KTHREAD of linux/sched.h
  if (read != 6 || (flags & kKernelThread)) return std::nullopt;
  process.id = {pid, started};
  process.threads = threads;
  process.alive = state != 'X' && (state != 'Z' || threads > 1);
  return process;
}

void ProcessTable::walk() {
  std::map<pid_t, Process> now;
  for (const pid_t pid : pids_in_proc()) {
    std::optional<Process> process = read_process(pid);
    if (!process) continue;
    const auto before = all_.find(pid);
    if (before != all_.end() && before->second.id == process->id) process->slot = before->second.slot;
    if (!process->slot) process->slot = read_slot(pid);
    now.emplace(pid, *std::move(process));
  }
  all_ = std::move(now);
  walked_at_.reset();
}

void ProcessTable::walk_at(Moment now) {
  if (walked_at_ == now) return;
  walk();
  walked_at_ = now;
}

}  // namespace proctor
