#include <malloc.h>

#include <algorithm>
#include <fstream>

#include "worker/device/device.h"
#include "worker/device/host_memory.h"

namespace proctor {
namespace {

/// A line of /proc/meminfo, in bytes; 0 if there is none.
std::uint64_t host_memory(const std::string& wanted) {
  std::ifstream stream("/proc/meminfo");
  std::string key, unit;
  for (std::uint64_t kib = 0; stream >> key >> kib; std::getline(stream, unit))
    if (key == wanted) return kib << 10;
  return 0;
}

class CpuDevice final : public Device {
 public:
  c10::Device torch() const override { return c10::Device(c10::DeviceType::CPU); }
  bool healthy() override { return true; }
  void synchronize() override {}
  void clear_workspaces() override {}
  void empty_host_cache() override {}
  void empty_cache() override { malloc_trim(0); }
  void reset_peak() override { reset_host_peak(); }
  /// No cache lies between tensors and malloc: reserved is allocated. Free and total are what --memory-limit leaves,
  /// or the whole node's.
  DeviceMemory memory() override {
    const HostCounters c = host_counters();
    const std::uint64_t free =
        c.limit_bytes ? c.limit_bytes - std::min(c.live_bytes, c.limit_bytes) : host_memory("MemAvailable:");
    const std::uint64_t total = c.limit_bytes ? c.limit_bytes : host_memory("MemTotal:");
    return {c.live_bytes, c.peak_bytes, c.live_bytes, c.peak_bytes, free, total};
  }
};

}  // namespace

std::unique_ptr<Device> make_cpu_device() { return std::make_unique<CpuDevice>(); }

}  // namespace proctor
