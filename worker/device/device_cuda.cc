// The CUDA and NCCL half of the worker: a shared module, so that a CPU worker neither maps nor starts them.
#include <ATen/Context.h>
#include <ATen/cuda/CUDAContextLight.h>
#include <ATen/cuda/CachingHostAllocator.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <fstream>
#include <stdexcept>

#include "worker/device/device.h"

#define PROCTOR_CUDA(call)                                                                 \
  do {                                                                                     \
    if (const cudaError_t error_ = (call); error_ != cudaSuccess)                          \
      throw std::runtime_error(std::string(#call ": ") + cudaGetErrorName(error_) + ": " + \
                               cudaGetErrorString(error_));                                \
  } while (false)

namespace proctor {
namespace {

namespace caching = c10::cuda::CUDACachingAllocator;

std::uint64_t aggregate(const c10::CachingAllocator::StatArray& stat, bool peak) {
  const auto& all = stat[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
  return static_cast<std::uint64_t>(peak ? all.peak : all.current);
}

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(int index) : index_(static_cast<c10::DeviceIndex>(index)) {
    at::globalContext().lazyInitDevice(c10::DeviceType::CUDA);  // the allocator's counters exist from here on
    c10::cuda::set_device(index_);
  }
  c10::Device torch() const override { return {c10::DeviceType::CUDA, index_}; }
  bool healthy() override {  // a sticky error is what every call answers from then on; this one does not wait
    const cudaError_t state = cudaStreamQuery(nullptr);
    return state == cudaSuccess || state == cudaErrorNotReady;
  }
  void synchronize() override { PROCTOR_CUDA(cudaDeviceSynchronize()); }
  void clear_workspaces() override { at::cuda::clearCublasWorkspaces(); }
  void empty_host_cache() override { at::getHostAllocator(at::kCUDA)->empty_cache(); }
  void empty_cache() override { caching::emptyCache(); }
  void reset_peak() override { caching::resetPeakStats(index_); }
  DeviceMemory memory() override {
    const auto stats = caching::getDeviceStats(index_);
    DeviceMemory memory;
    memory.allocated_bytes = aggregate(stats.allocated_bytes, false);
    memory.peak_bytes = aggregate(stats.allocated_bytes, true);
    memory.reserved_bytes = aggregate(stats.reserved_bytes, false);
    memory.reserved_peak_bytes = aggregate(stats.reserved_bytes, true);
    std::size_t free = 0, total = 0;
    PROCTOR_CUDA(cudaMemGetInfo(&free, &total));
    memory.free_bytes = free;
    memory.total_bytes = total;
    return memory;
  }

 private:
  c10::DeviceIndex index_;
};

std::string version_text(int version, int major, int minor) {
  return std::to_string(version / major) + "." + std::to_string(version % major / minor);
}

int numa_node(int device) {
  char bus[32] = {};
  if (cudaDeviceGetPCIBusId(bus, sizeof bus, device) != cudaSuccess) return -1;
  for (char& c : bus) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  std::ifstream stream(std::string("/sys/bus/pci/devices/") + bus + "/numa_node");
  int node = -1;
  stream >> node;
  return node;
}

}  // namespace
}  // namespace proctor

extern "C" proctor::Device* proctor_make_cuda_device(int index) { return new proctor::CudaDevice(index); }

extern "C" void proctor_add_cuda_facts(proctor::DeviceFacts* facts) {
  int count = 0, driver = 0, nccl = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
  facts->count = static_cast<std::uint32_t>(count);
  if (cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0)
    facts->cuda_driver = proctor::version_text(driver, 1000, 10);
  if (ncclGetVersion(&nccl) == ncclSuccess)
    facts->nccl_version =
        std::to_string(nccl / 10000) + "." + std::to_string(nccl / 100 % 100) + "." + std::to_string(nccl % 100);
  if (count == 0) return;
  cudaDeviceProp properties{};
  PROCTOR_CUDA(cudaGetDeviceProperties(&properties, 0));
  facts->kind = properties.name;
  facts->bytes = properties.totalGlobalMem;
  facts->numa_nodes.clear();
  for (int device = 0; device < count; ++device) facts->numa_nodes.push_back(proctor::numa_node(device));
}
