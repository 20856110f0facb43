// `proctor report`: a run as one HTML file that asks for nothing, to look at in a browser: figures with intervals,
// every sample, comparisons, timeline, ledger, cost, what it ran on.
#pragma once

#include <optional>
#include <string>

namespace proctor {

struct PageOptions {
  std::string directory;           ///< the run
  std::string against;             ///< another run, beside it; "": none
  std::optional<double> gpu_hour;  ///< what a device costs an hour, in whatever money
};

/// Throws UsageError where one is no run directory, EnvironmentError where a file is not as proctor writes it.
std::string report_page(const PageOptions& options);

}  // namespace proctor
