#include "orchestrator/watch/shared_memory.h"

#include <unistd.h>

#include <cctype>
#include <filesystem>
#include <system_error>

#include "orchestrator/watch/proc_file.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

std::string canonical(const std::string& folder) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(folder, error);
  return error ? folder : path.string();
}

std::string link_target(const std::string& link) {
  char target[4096];
  const ssize_t n = ::readlink(link.c_str(), target, sizeof target);
  return n < 0 ? "" : std::string(target, static_cast<std::size_t>(n));
}

}  // namespace

SharedMemory::SharedMemory(const std::string& folder) : folder_(canonical(folder)) {
  for (const auto& [name, status] : files()) before_.insert({name, status.st_ino});
}

/// Files of this user, by name.
std::map<std::string, struct stat> SharedMemory::files() const {
  std::map<std::string, struct stat> files;
  for (std::string& name : names_in(folder_)) {
    struct stat status {};
    // /proc escapes what is not printable, so that nobody could tell who holds it.
    if (printable(name) != name || ::lstat((folder_ + "/" + name).c_str(), &status) != 0) continue;
    if (S_ISREG(status.st_mode) && status.st_uid == ::geteuid()) files.emplace(std::move(name), status);
  }
  return files;
}

/// Names of entries that it has open or mapped. Where the entry is gone /proc says so behind the name, which is then
/// none that is there.
std::set<std::string> SharedMemory::held_by(pid_t pid) const {
  const std::string process = "/proc/" + std::to_string(pid), beginning = folder_ + "/";
  std::set<std::string> held;
  const auto note = [&](std::string_view path) {
    if (path.starts_with(beginning)) held.emplace(path.substr(beginning.size()));
  };
  for (const std::string& descriptor : names_in(process + "/fd")) note(link_target(process + "/fd/" + descriptor));
  const std::string maps = read_whole(process + "/maps").value_or("");
  for (std::size_t at = 0; at < maps.size();) {  // "5f00-6000 rw-s 00000000 00:1a 17   /dev/shm/psm_1"
    const std::size_t end = std::min(maps.find('\n', at), maps.size());
    const std::string_view line = std::string_view(maps).substr(at, end - at);
    if (const std::size_t path = line.find('/'); path != std::string_view::npos) note(line.substr(path));
    at = end + 1;
  }
  return held;
}

/// As "torch_4711_0" does of 4711, and neither "psm_4711af02" nor "x147110".
bool SharedMemory::names_its_pid(const std::string& name) const {
  const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  for (std::size_t at = 0; at < name.size();) {
    std::size_t end = at;
    while (end < name.size() && is_word(name[end])) ++end;
    for (pid_t pid : pids_)
      if (name.compare(at, end - at, std::to_string(pid)) == 0) return true;
    at = end + 1;
  }
  return false;
}

void SharedMemory::note(const std::vector<Process>& tree) {
  std::set<std::string> held;
  for (const Process& process : tree) {
    pids_.insert(process.id.pid);
    held.merge(held_by(process.id.pid));
  }
  if (held.empty()) return;
  for (const auto& [name, status] : files())
    if (held.contains(name)) held_.insert({name, status.st_ino});
}

std::vector<std::string> SharedMemory::remove_left(const ProcessTable& processes, const std::set<ProcessId>& ended,
                                                   Company company) {
  std::map<std::string, struct stat> left;
  for (const auto& [name, status] : files()) {
    const Entry entry{name, status.st_ino};
    if (before_.contains(entry)) continue;
    if (company == Company::none || held_.contains(entry) || names_its_pid(name)) left.emplace(name, status);
  }
  if (left.empty()) return {};
  for (const auto& [pid, process] : processes.all())
    if (process.alive && !ended.contains(process.id))
      for (const std::string& name : held_by(pid)) left.erase(name);
  std::vector<std::string> removed;
  for (const auto& [name, status] : left) {
    const std::string path = folder_ + "/" + name;
    struct stat current {};
    if (::lstat(path.c_str(), &current) != 0 || current.st_ino != status.st_ino) continue;
    if (::unlink(path.c_str()) != 0) continue;
    removed.push_back(path + " (" + counted(static_cast<std::uint64_t>(status.st_size), "byte") + ")");
  }
  return removed;
}

}  // namespace proctor
