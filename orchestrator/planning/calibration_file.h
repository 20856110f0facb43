// What runs on this machine's user account have shown of each kind of device: $XDG_CACHE_HOME/proctor/calibration.json
// (default ~/.cache). A cache: where it cannot be read or written, a run goes on without it.
#pragma once

#include <filesystem>

#include "sharding/planning/calibration.h"
#include "sharding/protocol/facts.h"

namespace proctor {

/// Empty where neither XDG_CACHE_HOME nor HOME is set.
std::filesystem::path calibration_path();

/// Of this kind of device; empty where nothing is known.
Calibration read_calibration(const std::filesystem::path& path, const std::string& device_kind);

/// Learns a run's. False where it cannot be written.
bool learn_calibration(const std::filesystem::path& path, const std::string& device_kind, const Calibration& run);

/// Measured by a finished run (manifest.json), and on what. Throws UsageError where there is none.
struct RunCalibration {
  DeviceFacts device;
  Calibration measured;
};
RunCalibration calibration_of_run(const std::filesystem::path& run_directory);

}  // namespace proctor
