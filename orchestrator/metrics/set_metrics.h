// Metrics whose figure puts documents together that belong together: the questions of an image, the turns of a
// question, the rows of a category. Each document's value has the keys that say what it belongs to. One row each. Pure.
#pragma once

#include <span>
#include <string>

#include "orchestrator/metrics/metric_value.h"

namespace proctor {

/// They have no standard error.
struct SetMetric {
  const char* name;
  /// NaN where no document is of a complete set.
  double (*figure)(std::span<const MetricValue> values);
};
/// nullptr: not one of them.
const SetMetric* find_set_metric(const std::string& name);

}  // namespace proctor
