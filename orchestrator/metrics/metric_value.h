// What a metric says of one document.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace proctor {

/// One scored value of one document: a number; or two that its aggregation knows the meaning of: (log-likelihood,
/// weight) of perplexities, (right class, chosen class) of class metrics, (confidence, right) of ece; or counts that
/// are summed over the documents (corpus_metrics.h); or a number and what the document belongs to (set_metrics.h).
struct MetricValue {
  double value = 0, weight = 1;
  std::vector<double> counts = {};
  std::vector<std::string> keys = {};
};
using MetricValues = std::map<std::string, MetricValue>;

}  // namespace proctor
