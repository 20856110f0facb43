#include "orchestrator/watch/device_library.h"

#include <dlfcn.h>

#include <charconv>
#include <type_traits>

namespace proctor {
namespace {

// NVML's binary interface, as far as it is used: NVML API Reference Guide, docs.nvidia.com/deploy/nvml-api, "Device
// Queries" and the structs' pages. nvmlReturn_t is an int.
constexpr int kSuccess = 0, kInsufficientSize = 7;   // nvmlReturn_t
constexpr unsigned long long kNotAvailable = ~0ULL;  // NVML_VALUE_NOT_AVAILABLE
struct Memory {                                      // nvmlMemory_t
  unsigned long long total, free, used;              // bytes
};
struct ComputeProcess {  // nvmlProcessInfo_v2_t, of _v2 and of _v3
  unsigned pid;
  unsigned long long used;  // bytes
  unsigned gpu_instance, compute_instance;
};
static_assert(sizeof(ComputeProcess) == 24);

}  // namespace

struct DeviceLibrary::Functions {
  void* library = nullptr;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*by_index)(unsigned, Device*) = nullptr;
  int (*by_uuid)(const char*, Device*) = nullptr;
  int (*memory)(Device, Memory*) = nullptr;
  int (*processes)(Device, unsigned*, ComputeProcess*) = nullptr;
  int (*energy)(Device, unsigned long long*) = nullptr;

  template <class Function>
  void load(Function& function, const char* name) {
    if (!function) function = reinterpret_cast<Function>(::dlsym(library, name));
  }

  std::optional<Device> find(const std::string& name) const {
    unsigned index = 0, all = 0;
    Device device = nullptr;
    const char* end = name.data() + name.size();
    if (const auto [rest, error] = std::from_chars(name.data(), end, index); error == std::errc() && rest == end) {
      if (!count || !by_index || count(&all) != kSuccess || index >= all) return std::nullopt;
      return by_index(index, &device) == kSuccess ? std::optional(device) : std::nullopt;
    }
    return by_uuid && by_uuid(name.c_str(), &device) == kSuccess ? std::optional(device) : std::nullopt;
  }

  std::optional<std::uint64_t> used_bytes(Device device) const {
    Memory bytes{};
    return memory && memory(device, &bytes) == kSuccess ? std::optional<std::uint64_t>(bytes.used) : std::nullopt;
  }

  std::optional<double> energy_j(Device device) const {
    unsigned long long millijoules = 0;
    if (!energy || energy(device, &millijoules) != kSuccess) return std::nullopt;
    return static_cast<double>(millijoules) / 1000;
  }

  std::optional<std::map<pid_t, std::uint64_t>> bytes_of(Device device) const {
    constexpr int kAttempts = 4;  // processes may start between the call that counts them and the next
    if (!processes) return std::nullopt;
    unsigned room = 64;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      // Twice the room: the first drivers of R535 write 32 bytes a process for _v3, with 8 zeros behind each, so that
      // the second process would be read as pid 0.
      std::vector<ComputeProcess> list(std::size_t{2} * room);
      unsigned listed = room;
      const int code = processes(device, &listed, list.data());
      if (code == kInsufficientSize) {
        room = listed + 16;
        continue;
      }
      if (code != kSuccess || listed > room) return std::nullopt;
      std::map<pid_t, std::uint64_t> bytes;
      for (unsigned i = 0; i < listed; ++i) {
        if (list[i].pid == 0 || list[i].used == kNotAvailable) return std::nullopt;
        bytes[static_cast<pid_t>(list[i].pid)] += list[i].used;
      }
      return bytes;
    }
    return std::nullopt;
  }
};

DeviceLibrary::DeviceLibrary(const std::string& path) {
  auto functions = std::make_unique<Functions>();
  functions->library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!functions->library) return;
  functions->load(functions->init, "nvmlInit_v2");
  functions->load(functions->shutdown, "nvmlShutdown");
  functions->load(functions->count, "nvmlDeviceGetCount_v2");
  functions->load(functions->by_index, "nvmlDeviceGetHandleByIndex_v2");
  functions->load(functions->by_uuid, "nvmlDeviceGetHandleByUUID");
  functions->load(functions->memory, "nvmlDeviceGetMemoryInfo");
  functions->load(functions->processes, "nvmlDeviceGetComputeRunningProcesses_v3");
  functions->load(functions->processes, "nvmlDeviceGetComputeRunningProcesses_v2");
  functions->load(functions->energy, "nvmlDeviceGetTotalEnergyConsumption");
  if (functions->init && functions->init() == kSuccess)
    functions_ = std::move(functions);
  else
    ::dlclose(functions->library);
}

DeviceLibrary::~DeviceLibrary() {
  if (!functions_) return;
  if (functions_->shutdown) functions_->shutdown();
  ::dlclose(functions_->library);
}

bool DeviceLibrary::is_there() const { return functions_ != nullptr; }

std::vector<DeviceLibrary::Device> DeviceLibrary::find(const std::string& visible) const {
  std::vector<Device> devices;
  if (!functions_ || visible.empty()) return devices;
  for (std::size_t at = 0; at <= visible.size();) {
    const std::size_t end = std::min(visible.find(',', at), visible.size());
    const std::optional<Device> device = functions_->find(visible.substr(at, end - at));
    if (!device) return {};
    devices.push_back(*device);
    at = end + 1;
  }
  return devices;
}

DevicesUse DeviceLibrary::read(const std::vector<Device>& devices) const {
  DevicesUse use;
  if (!functions_ || devices.empty()) return use;
  use = {0, 0, std::map<pid_t, std::uint64_t>{}};
  const auto add = [](auto& sum, const auto& part) {
    if (sum && part)
      *sum += *part;
    else
      sum.reset();
  };
  for (Device device : devices) {
    add(use.used_bytes, functions_->used_bytes(device));
    add(use.energy_j, functions_->energy_j(device));
    const auto bytes_of = functions_->bytes_of(device);
    if (!bytes_of) use.bytes_of.reset();
    if (!use.bytes_of) continue;
    for (const auto& [pid, bytes] : *bytes_of) (*use.bytes_of)[pid] += bytes;
  }
  return use;
}

}  // namespace proctor
