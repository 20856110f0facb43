// From per-document values to a task's figure and its standard error, to the last digit of lm-eval on CPython >= 3.12
// (compensated sums; `naive` reproduces 3.11 for oracle tests).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "orchestrator/metrics/metric_value.h"
#include "orchestrator/metrics/python_sum.h"

namespace proctor {

/// The aggregation lm-eval registers for a metric: mean, perplexity, weighted_perplexity, bits_per_byte; or that of a
/// corpus metric (corpus_metrics.h) or of a set metric (set_metrics.h), or ece's.
double aggregate(const std::string& metric, std::span<const MetricValue> values,
                 PythonSum how = PythonSum::compensated);

struct StderrOptions {
  std::uint32_t bootstrap_iterations = 100000;
  PythonSum sum = PythonSum::compensated;
  unsigned threads = 1;  ///< for the bootstrap
};
/// nullopt: "N/A".
std::optional<double> standard_error(const std::string& metric, std::span<const MetricValue> values,
                                     const StderrOptions& options);

bool higher_is_better(const std::string& metric);

/// A group's row from its tasks': sizes weigh; pooled standard error (lm-eval's pooled_sample_stderr).
struct GroupMember {
  double value = 0;
  std::optional<double> error;
  std::size_t documents = 0;
};
double group_value(std::span<const GroupMember> members, PythonSum how = PythonSum::compensated);
std::optional<double> group_error(std::span<const GroupMember> members, PythonSum how = PythonSum::compensated);

}  // namespace proctor
