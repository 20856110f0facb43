// Where a member computes. One interface, two source files; an absent device is a value, not an #ifdef. Used by the
// compute thread only.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <string>

#include "sharding/protocol/facts.h"

namespace proctor {

struct DeviceMemory {
  std::uint64_t allocated_bytes = 0, peak_bytes = 0, reserved_bytes = 0, reserved_peak_bytes = 0, free_bytes = 0,
                total_bytes = 0;
};

class Nccl;

class Device {
 public:
  virtual ~Device() = default;
  virtual c10::Device torch() const = 0;
  /// False after a sticky error: no further call can succeed, the process has to end.
  virtual bool healthy() = 0;
  virtual void synchronize() = 0;       ///< throws what asynchronous work left behind
  virtual void clear_workspaces() = 0;  ///< cuBLAS's, of this thread
  virtual void empty_host_cache() = 0;  ///< pinned memory
  virtual void empty_cache() = 0;
  virtual void reset_peak() = 0;
  virtual DeviceMemory memory() = 0;
};

std::unique_ptr<Device> make_cpu_device();

/// Opens the CUDA half (a shared module beside the binary) before the first torch call. Throws EnvironmentError where
/// there is no such half, no driver or no device.
void open_cuda_half();
std::unique_ptr<Device> make_cuda_device(int index);
void add_cuda_facts(DeviceFacts& facts);
Nccl& nccl_library();  ///< of the CUDA half

/// What the shared module exports (device_cuda.cc).
extern "C" {
using MakeCudaDevice = Device* (*)(int index);
using AddCudaFacts = void (*)(DeviceFacts* facts);
using GetNccl = Nccl* (*)();
}

}  // namespace proctor
