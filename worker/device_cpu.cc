#include <malloc.h>

#include <fstream>

#include "worker/device.h"
#include "worker/host_memory.h"

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
  void synchronize() override {}
  void clear_workspaces() override {}
  void empty_host_cache() override {}
  void empty_cache() override { malloc_trim(0); }
  void reset_peak() override { reset_host_peak(); }
  /// No cache lies between tensors and malloc: reserved is allocated. Free and total are the whole node's.
  DeviceMemory memory() override {
    const HostCounters counters = host_counters();
    return {counters.live_bytes, counters.peak_bytes,          counters.live_bytes,
            counters.peak_bytes, host_memory("MemAvailable:"), host_memory("MemTotal:")};
  }
};

}  // namespace

std::unique_ptr<Device> make_cpu_device() { return std::make_unique<CpuDevice>(); }

}  // namespace proctor
