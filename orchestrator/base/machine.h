// What the operating system says of this machine and of this process's share of it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace proctor {

std::string host_name();
/// Of the environment; "" where it is not set.
std::string variable(const char* name);
/// The local day, YYYY-MM-DD.
std::string today();
/// Lifts the binding of a launcher to every core of the cgroup. Called once under one, before workers start; without
/// one a narrowed affinity (taskset) is what the user asked for.
void widen_affinity();

/// Where limits are read; tests give another.
struct LimitSources {
  std::string cgroups = "/sys/fs/cgroup";
  std::string own_groups = "/proc/self/cgroup";
  std::function<const char*(const char*)> environment;  ///< empty: the process's own
};

/// What control groups and Slurm leave this process, where any of them says something: the least along the path of its
/// own group, of versions 1 and 2, and of Slurm's variables.
struct Share {
  std::optional<std::uint64_t> memory_bytes;
  std::optional<std::uint32_t> cores;  ///< whole ones of a quota, at least 1
};
Share share_of_machine(const LimitSources& sources = {});

std::uint32_t usable_cores();         ///< of this node for this job: affinity, and share_of_machine()
std::uint64_t usable_memory_bytes();  ///< of this node for this job: MemTotal, and share_of_machine()
/// How many processes the kernel has killed for want of memory, in this process's cgroup or, where it does not tell, on
/// this machine. Grows; only differences mean something.
std::uint64_t out_of_memory_kills();

}  // namespace proctor
