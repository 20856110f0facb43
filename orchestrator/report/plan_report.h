// `proctor plan`: what a run would do and take, before anything is spent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/planning/forecast.h"
#include "orchestrator/report/timeline.h"

namespace proctor {

/// Tables of cells, of modules, and of runs on each of these numbers of devices. `source`: of the calibration;
/// `gpu_hour`: what a device costs an hour, so that a run costs all of its devices from first to last.
/// Throws EnvironmentError where a module's gang has no place among them.
std::string plan_report(const Work& work, const Forecast& forecast, const std::vector<std::uint32_t>& gpus,
                        const std::string& source, std::optional<double> gpu_hour = {});

/// The rehearsed run on so many devices.
Timeline plan_timeline(const Work& work, const Forecast& forecast, std::uint32_t gpus);

/// So many devices as nodes of at most 8.
std::vector<std::uint32_t> as_nodes(std::uint32_t devices);

}  // namespace proctor
