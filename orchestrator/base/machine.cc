#include "orchestrator/base/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace proctor {
namespace {

/// The number after `key` in a file of "key number" lines.
bool read_counter(const std::string& file, const std::string& key, std::uint64_t& value) {
  std::ifstream stream(file);
  for (std::string name; stream >> name >> value;)
    if (name == key) return true;
  return false;
}

/// "/sys/fs/cgroup/..." of this process, cgroup v2.
std::string cgroup_folder() {
  std::ifstream stream("/proc/self/cgroup");
  for (std::string line; std::getline(stream, line);)
    if (line.starts_with("0::")) return "/sys/fs/cgroup" + line.substr(3);
  return "/sys/fs/cgroup";
}

}  // namespace

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

void widen_affinity() {
  cpu_set_t all;
  CPU_ZERO(&all);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) CPU_SET(cpu, &all);
  sched_setaffinity(0, sizeof all, &all);  // the kernel keeps what the cgroup allows
}

std::uint32_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<std::uint32_t>(std::max(1, CPU_COUNT(&set)));
}

std::uint64_t usable_memory_bytes() {
  std::uint64_t bytes =
      static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  for (const char* file : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"})
    if (std::uint64_t limit = 0; std::ifstream(file) >> limit) bytes = std::min(bytes, limit);
  if (const char* slurm = std::getenv("SLURM_MEM_PER_NODE"))
    if (const std::uint64_t limit = std::strtoull(slurm, nullptr, 10) << 20; limit > 0) bytes = std::min(bytes, limit);
  return bytes;
}

std::uint64_t out_of_memory_kills() {
  std::uint64_t kills = 0;
  if (read_counter(cgroup_folder() + "/memory.events", "oom_kill", kills)) return kills;
  read_counter("/proc/vmstat", "oom_kill", kills);
  return kills;
}

}  // namespace proctor
