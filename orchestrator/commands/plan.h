// `proctor plan SUITE`: what a run would do, by the decisions that a run makes; touches no device.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/spec/document_limit.h"
#include "orchestrator/spec/suite_source.h"

namespace proctor {

struct PlanOptions {
  SuiteSource suite;
  std::string device = "auto";
  std::vector<std::string> settings;     ///< --set
  DocumentLimit limit = 0;               ///< documents of each task
  std::optional<std::uint32_t> workers;  ///< per rank: devices of this machine
  std::uint64_t memory_limit_bytes = 0;  ///< of each device; 0: what the device has
  std::vector<std::uint32_t> gpus;       ///< empty: this machine's devices
  std::string svg, calibrated_by;
  std::optional<double> gpu_hour;  ///< what a device costs
  bool quiet = false;              ///< no notes
  bool allow_engines = false, start_engines = false;
};

/// Throws UsageError, InputError or EnvironmentError where a run would.
void plan(const PlanOptions& options, std::ostream& out);

}  // namespace proctor
