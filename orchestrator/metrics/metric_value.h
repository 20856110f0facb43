// What a metric says of one document.
#pragma once

#include <map>
#include <string>

namespace proctor {

/// One scored value of one document: a number; or (log-likelihood, weight) for perplexities.
struct MetricValue {
  double value = 0, weight = 1;
};
using MetricValues = std::map<std::string, MetricValue>;

}  // namespace proctor
