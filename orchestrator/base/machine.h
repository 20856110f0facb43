// What the operating system says of this machine and of this process's share of it.
#pragma once

#include <cstdint>
#include <string>

namespace proctor {

std::string host_name();
/// Lifts the binding of a launcher to every core of the cgroup. Called once under one, before workers start; without
/// one a narrowed affinity (taskset) is what the user asked for.
void widen_affinity();
std::uint32_t usable_cores();
std::uint64_t usable_memory_bytes();  ///< of this node for this job: cgroup, SLURM_MEM_PER_NODE, MemTotal
/// How many processes the kernel has killed for want of memory, in this process's cgroup or, where it does not tell, on
/// this machine. Grows; only differences mean something.
std::uint64_t out_of_memory_kills();

}  // namespace proctor
