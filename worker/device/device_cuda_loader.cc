#include <dlfcn.h>

#include "sharding/protocol/error.h"
#include "sharding/protocol/loadable.h"
#include "worker/device/device.h"

namespace proctor {
namespace {

void*& half() {
  static void* handle = nullptr;
  return handle;
}

template <class Function>
Function exported(const char* name) {
  open_cuda_half();
  const auto function = reinterpret_cast<Function>(dlsym(half(), name));
  if (!function) throw EnvironmentError(std::string("the CUDA half lacks ") + name + "; build again");
  return function;
}

}  // namespace

void open_cuda_half() {
  if (half()) return;
  half() = dlopen(module_path("libproctor_cuda.so").c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!half())
    throw EnvironmentError(std::string("the CUDA half cannot be opened: ") + dlerror() +
                           "; use --device cpu, or build with a torch that has CUDA");
}

std::unique_ptr<Device> make_cuda_device(int index) {
  return std::unique_ptr<Device>(exported<MakeCudaDevice>("proctor_make_cuda_device")(index));
}

Nccl& nccl_library() { return *exported<GetNccl>("proctor_nccl")(); }

void add_cuda_facts(DeviceFacts& facts) { exported<AddCudaFacts>("proctor_add_cuda_facts")(&facts); }

}  // namespace proctor
