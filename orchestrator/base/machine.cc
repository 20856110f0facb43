#include "orchestrator/base/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

namespace proctor {
namespace {

namespace fs = std::filesystem;

/// The number after `key` in a file of "key number" lines.
bool read_counter(const std::string& file, const std::string& key, std::uint64_t& value) {
  std::ifstream stream(file);
  for (std::string name; stream >> name >> value;)
    if (name == key) return true;
  return false;
}

/// Groups of this process: of version 2 by "", of version 1 by each controller's name.
std::vector<std::pair<std::string, std::string>> groups_in(const std::string& file) {
  std::vector<std::pair<std::string, std::string>> groups;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {  // "5:cpu,cpuacct:/job" or "0::/job"
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::istringstream names(line.substr(first + 1, second - first - 1));
    const std::string path = line.substr(second + 1);
    if (second == first + 1) groups.emplace_back("", path);
    for (std::string name; std::getline(names, name, ',');) groups.emplace_back(name, path);
  }
  return groups;
}

/// A group's folder and those above it, up to where control groups are mounted. In a container the path may be the
/// host's, which is not there; then what is left is the root, which is the container's.
std::vector<fs::path> folders_of(const fs::path& root, const std::string& group) {
  std::vector<fs::path> folders = {root};
  fs::path folder = root;
  for (const fs::path& part : fs::path(group).relative_path()) folders.push_back(folder /= part);
  return folders;
}

std::optional<std::uint64_t> number_in(const fs::path& file) {
  std::int64_t value = -1;
  std::ifstream stream(file);
  if (stream >> value && value >= 0) return static_cast<std::uint64_t>(value);
  return std::nullopt;  // "max", or -1, or no such file
}

void lower(auto& limit, auto value) {
  if (!limit || *limit > value) limit = value;
}

void lower_cores(Share& share, std::uint64_t quota, std::uint64_t period) {
  constexpr std::uint64_t kMostCores = 1 << 16;
  if (period > 0)
    lower(share.cores, static_cast<std::uint32_t>(std::clamp<std::uint64_t>(quota / period, 1, kMostCores)));
}

void read_group(Share& share, const LimitSources& sources, const std::string& controller, const std::string& group) {
  for (const fs::path& folder : folders_of(fs::path(sources.cgroups) / controller, group)) {
    if (controller.empty())
      if (const auto most = number_in(folder / "memory.max")) lower(share.memory_bytes, *most);
    if (controller == "memory")
      if (const auto most = number_in(folder / "memory.limit_in_bytes")) lower(share.memory_bytes, *most);
    std::uint64_t quota = 0, period = 0;
    if (controller.empty() && std::ifstream(folder / "cpu.max") >> quota >> period) lower_cores(share, quota, period);
    if (controller == "cpu") {
      const auto most = number_in(folder / "cpu.cfs_quota_us"), of = number_in(folder / "cpu.cfs_period_us");
      if (most && of) lower_cores(share, *most, *of);
    }
  }
}

/// Slurm's, in MiB; of --mem-per-cpu and --mem-per-gpu times what the job has of them on this node.
void read_slurm(Share& share, const LimitSources& sources) {
  const auto number = [&](const char* name) -> std::uint64_t {
    const char* text = sources.environment ? sources.environment(name) : std::getenv(name);
    return text ? std::strtoull(text, nullptr, 10) : 0;
  };
  const std::uint64_t cores = number("SLURM_CPUS_ON_NODE"), gpus = number("SLURM_GPUS_ON_NODE");
  for (const std::uint64_t mebibytes :
       {number("SLURM_MEM_PER_NODE"), number("SLURM_MEM_PER_CPU") * cores, number("SLURM_MEM_PER_GPU") * gpus})
    if (mebibytes > 0) lower(share.memory_bytes, mebibytes << 20);
  if (cores > 0) lower_cores(share, cores, 1);
}

/// "/sys/fs/cgroup/..." of this process, cgroup v2.
std::string cgroup_folder() {
  for (const auto& [controller, group] : groups_in("/proc/self/cgroup"))
    if (controller.empty()) return "/sys/fs/cgroup" + group;
  return "/sys/fs/cgroup";
}

}  // namespace

Share share_of_machine(const LimitSources& sources) {
  Share share;
  bool one = false;
  for (const auto& [controller, group] : groups_in(sources.own_groups)) {
    read_group(share, sources, controller, group);
    one = true;
  }
  if (!one)
    for (const char* controller : {"", "memory", "cpu"}) read_group(share, sources, controller, "");
  read_slurm(share, sources);
  return share;
}

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &local);
  return text;
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
  const int bound = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  const auto cores = static_cast<std::uint32_t>(std::max(1, bound));
  return std::min(cores, share_of_machine().cores.value_or(cores));
}

std::uint64_t usable_memory_bytes() {
  const std::uint64_t bytes =
      static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return std::min(bytes, share_of_machine().memory_bytes.value_or(bytes));
}

std::uint64_t out_of_memory_kills() {
  std::uint64_t kills = 0;
  if (read_counter(cgroup_folder() + "/memory.events", "oom_kill", kills)) return kills;
  read_counter("/proc/vmstat", "oom_kill", kills);
  return kills;
}

}  // namespace proctor
