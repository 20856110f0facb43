// The counting CPU allocator: exact live and peak bytes of every tensor in host memory, with an optional limit that
// raises c10::OutOfMemoryError, the type CUDA's allocator raises. Installed once, before the first tensor.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace proctor {

struct HostCounters {
  std::uint64_t live_bytes = 0, peak_bytes = 0, limit_bytes = 0;
};

/// `limit_bytes` 0: none. PyTorch keeps allocators for ever, so the counters are the process's.
void install_counting_allocator(std::uint64_t limit_bytes);
/// What a batch frees the next one gets back without the system's clearing of pages; malloc_trim still returns it.
/// Blocks past 32 MiB (malloc's limit) stay with the system.
void keep_freed_memory();
HostCounters host_counters();
void reset_host_peak();

struct ProcessCounters {
  std::uint64_t resident_bytes = 0;
  std::int64_t file_descriptors = 0, threads = 0, mappings = 0;
  std::vector<std::string> thread_names;  ///< sorted
};
ProcessCounters process_counters();  ///< from /proc/self

}  // namespace proctor
