// What the driver tells of NVIDIA devices without a CUDA context: a thin layer over its management library, NVML, which
// is opened at run time. Where library, symbol or permission is missing, nothing is known, and nothing fails. Owned by
// the agent, main thread; a driver that hangs holds the caller.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace proctor {

/// Sums over devices; absent where the driver does not tell it of one of them, or where there are none.
struct DevicesUse {
  std::optional<std::uint64_t> used_bytes;  ///< by anybody
  std::optional<double> energy_j;           ///< since the driver was loaded
  /// Bytes of each process that computes there, as the driver numbers processes: as the host does, or as this
  /// container does.
  std::optional<std::map<pid_t, std::uint64_t>> bytes_of;
};

class DeviceLibrary {
 public:
  using Device = void*;  ///< nvmlDevice_t, valid while the library is

  /// Initializes the library, which may take seconds where no driver stays loaded.
  explicit DeviceLibrary(const std::string& path = "libnvidia-ml.so.1");
  ~DeviceLibrary();
  DeviceLibrary(const DeviceLibrary&) = delete;
  DeviceLibrary& operator=(const DeviceLibrary&) = delete;

  bool is_there() const;
  /// Those that a process sees with this value of CUDA_VISIBLE_DEVICES: numbers in PCI order, or UUIDs, of devices or
  /// of MIG instances, in full. Empty if any is not found.
  std::vector<Device> find(const std::string& visible) const;
  DevicesUse read(const std::vector<Device>& devices) const;

 private:
  struct Functions;
  std::unique_ptr<Functions> functions_;
};

}  // namespace proctor
