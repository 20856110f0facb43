#include "worker/device/host_memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>

namespace proctor {
namespace {

constexpr std::size_t kAlignment = 64;

struct {
  std::atomic<std::uint64_t> live{0}, peak{0}, limit{0};
} counters;

void release(void* data) {
  if (!data) return;
  counters.live.fetch_sub(malloc_usable_size(data), std::memory_order_relaxed);
  std::free(data);
}

void raise_peak(std::uint64_t live) {
  for (std::uint64_t peak = counters.peak.load(); live > peak && !counters.peak.compare_exchange_weak(peak, live);) {
  }
}

class CountingAllocator final : public c10::Allocator {
 public:
  /// PyTorch demands that a DataPtr's context equals its data, so the size is asked of malloc again at release.
  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &release, c10::Device(c10::DeviceType::CPU)};
    const std::uint64_t limit = counters.limit.load(std::memory_order_relaxed);
    if (limit && counters.live.load(std::memory_order_relaxed) + bytes > limit)
      refuse(bytes, "the limit of --memory-limit");
    void* data = nullptr;
    if (posix_memalign(&data, kAlignment, bytes) != 0) refuse(bytes, "what the system gives");
    const std::uint64_t usable = malloc_usable_size(data);
    raise_peak(counters.live.fetch_add(usable, std::memory_order_relaxed) + usable);
    return {data, data, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { std::memcpy(to, from, bytes); }

 private:
  [[noreturn]] static void refuse(std::size_t bytes, const char* what) {
    TORCH_CHECK_WITH(OutOfMemoryError, false, "out of host memory: ", bytes, " bytes more than ", counters.live.load(),
                     " live ones is past ", what);
  }
};

}  // namespace

void install_counting_allocator(std::uint64_t limit_bytes) {
  static CountingAllocator allocator;
  counters.limit = limit_bytes;
  c10::SetCPUAllocator(&allocator, /*priority=*/100);
}

void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
}

HostCounters host_counters() { return {counters.live.load(), counters.peak.load(), counters.limit.load()}; }
void reset_host_peak() { counters.peak.store(counters.live.load()); }

ProcessCounters process_counters() {
  ProcessCounters out;
  std::ifstream statm("/proc/self/statm");
  std::uint64_t total = 0, resident = 0;
  statm >> total >> resident;
  out.resident_bytes = resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  const auto entries = [](const char* folder) {
    return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator{});
  };
  out.file_descriptors = entries("/proc/self/fd") - 1;  // less the one that reads the folder
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream comm(task.path() / "comm");
    std::string name;
    std::getline(comm, name);
    out.thread_names.push_back(name);
  }
  std::ranges::sort(out.thread_names);
  out.threads = static_cast<std::int64_t>(out.thread_names.size());
  std::ifstream maps("/proc/self/maps");
  out.mappings = std::count(std::istreambuf_iterator<char>(maps), {}, '\n');
  return out;
}

}  // namespace proctor
