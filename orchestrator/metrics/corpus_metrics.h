// Metrics whose figure is of all documents together: of summed counts (BLEU and its like), or of who was taken for
// whom. One row each. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "orchestrator/metrics/metric_value.h"

namespace proctor {

struct CorpusMetric {
  const char* name;
  bool higher_is_better;
  std::uint32_t most_replicates;  ///< of the bootstrap, as lm-eval bounds it; 0: it has no standard error
  /// What is summed over the documents; `classes`: of all documents.
  std::vector<double> (*counts)(const MetricValue& value, std::size_t classes);
  double (*figure)(std::span<const double> sums);
};
/// nullptr: not one of them.
const CorpusMetric* find_corpus_metric(const std::string& name);

/// One more than the highest class among right and chosen ones.
std::size_t classes_of(std::span<const MetricValue> values);
/// Expected calibration error (Guo et al., 2017): 15 bins of equal width over the confidence, (low, high]; each bin's
/// share of the documents times how far its mean confidence is from its share of right ones. [0, 1]
double expected_calibration_error(std::span<const MetricValue> values);

}  // namespace proctor
