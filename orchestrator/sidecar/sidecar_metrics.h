// Runs metrics that are the user's Python, in the sidecar (sidecar.h).
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "orchestrator/metrics/code_metric.h"
#include "orchestrator/sidecar/sidecar.h"

namespace proctor {

class SidecarMetrics final : public CodeMetrics {
 public:
  /// The sidecar outlives this.
  explicit SidecarMetrics(LazySidecar& sidecar) : sidecar_(sidecar) {}
  void check(const CodeMetric& metric) override;
  std::vector<CodeScore> score(const CodeMetric& metric, std::span<const ScoredText> texts) override;

 private:
  LazySidecar& sidecar_;
  std::mutex mutex_;
  std::map<CodeMetric, std::string> broken_;  // that did not end, or ended the process: why it is not asked again
};

}  // namespace proctor
