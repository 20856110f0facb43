#include "worker/device/probe.h"

#include <ATen/Version.h>
#include <ATen/cpu/Utils.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <cstdlib>

#include "numerics.h"  // made by numerics.cmake
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

std::uint64_t host_bytes() {
  return static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

/// True if the kernel has an NVIDIA driver: without one there is no need to open the CUDA half.
bool has_driver() { return ::access("/dev/nvidiactl", F_OK) == 0; }

/// The user hid every device on purpose.
bool hidden() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible && *visible == '\0';
}

}  // namespace

DeviceFacts probe(DeviceChoice choice) {
  DeviceFacts facts;
  facts.torch_version = TORCH_VERSION;
  facts.numerics = PROCTOR_NUMERICS;
  facts.bytes = host_bytes();
  facts.numa_nodes = {-1};
  const bool look = choice == DeviceChoice::cuda || (choice == DeviceChoice::automatic && has_driver());
  if (look) {
    DeviceFacts cuda = facts;
    add_cuda_facts(cuda);
    if (cuda.count > 0)
      facts = cuda;
    else if (choice == DeviceChoice::cuda || !hidden())
      throw EnvironmentError(
          "--device cuda: no CUDA device is visible (driver " +
          (cuda.cuda_driver.empty() ? std::string("none") : cuda.cuda_driver) +
          ", this LibTorch needs 13.0 or newer); check nvidia-smi and CUDA_VISIBLE_DEVICES, or use --device cpu");
  }
  facts.instruction_set = at::get_cpu_capability();
  return facts;
}

std::unique_ptr<Device> make_device(DeviceChoice choice, int index) {
  const bool cuda = choice == DeviceChoice::cuda || (choice == DeviceChoice::automatic && has_driver());
  return cuda ? make_cuda_device(index) : make_cpu_device();
}

}  // namespace proctor
