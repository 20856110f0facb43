// What an agent sees of a guest from outside: its process tree, what it left in /dev/shm, the bytes on its devices.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace proctor {

/// Of a guest's process tree, by its agent; what cannot be known is absent.
struct OutsideMeasures {
  std::uint64_t pss_before = 0, pss_peak = 0, pss_after = 0;  ///< bytes, proportional share of shared pages
  std::uint32_t processes_before = 0, processes_peak = 0, processes_after = 0;
  std::uint32_t threads_before = 0, threads_after = 0, descriptors_before = 0, descriptors_after = 0;
  std::vector<std::string> left;         ///< what was still there at the end and had to be ended: "sleep (4711)"
  std::vector<std::string> shared_left;  ///< entries of /dev/shm, removed: "/dev/shm/psm_1 (3145728 bytes)"
  /// Bytes on the slot's devices: of the tree where the driver tells processes apart (device_of_tree), else of the
  /// whole device.
  std::optional<std::uint64_t> device_before, device_peak, device_after;
  bool device_of_tree = false;
  std::optional<double> energy_j;
  bool warmed_up = false;  ///< the process had ended a visit before

  bool operator==(const OutsideMeasures&) const = default;
};

}  // namespace proctor
