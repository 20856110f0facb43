#include "orchestrator/metrics/aggregation.h"

#include <cmath>

#include "orchestrator/metrics/bootstrap.h"

namespace proctor {
namespace {

enum class Kind { mean, perplexity, weighted_perplexity, bits_per_byte };

Kind kind_of(const std::string& metric) {
  if (metric == "perplexity") return Kind::perplexity;
  if (metric == "word_perplexity" || metric == "byte_perplexity") return Kind::weighted_perplexity;
  if (metric == "bits_per_byte") return Kind::bits_per_byte;
  return Kind::mean;
}

std::vector<double> plain(std::span<const MetricValue> values) {
  std::vector<double> out;
  for (const MetricValue& value : values) out.push_back(value.value);
  return out;
}

double mean(std::span<const double> values, PythonSum how) {
  return python_sum(values, how) / static_cast<double>(values.size());
}

double sample_stddev(std::span<const double> values, PythonSum how) {
  const double mu = mean(values, how);
  std::vector<double> squares;
  for (double value : values) squares.push_back((value - mu) * (value - mu));
  return std::sqrt(python_sum(squares, how) / static_cast<double>(values.size() - 1));
}

double bootstrap_perplexity(const std::vector<double>& values, const StderrOptions& options) {
  std::vector<double> replicates = resampled_sums(values, options.bootstrap_iterations, options.sum, options.threads);
  for (double& value : replicates) value = std::exp(-(value / static_cast<double>(values.size())));
  return sample_stddev(replicates, options.sum);
}

}  // namespace

double python_sum(std::span<const double> values, PythonSum how) {
  double sum = 0, compensation = 0;
  for (double value : values) {
    const double next = sum + value;
    if (how == PythonSum::compensated)
      compensation += std::fabs(sum) >= std::fabs(value) ? (sum - next) + value : (value - next) + sum;
    sum = next;
  }
  return compensation != 0 && std::isfinite(compensation) ? sum + compensation : sum;
}

double aggregate(const std::string& metric, std::span<const MetricValue> values, PythonSum how) {
  const std::vector<double> sums = plain(values);
  const Kind kind = kind_of(metric);
  if (kind == Kind::mean) return mean(sums, how);
  if (kind == Kind::perplexity) return std::exp(-mean(sums, how));
  std::vector<double> weights;
  for (const MetricValue& value : values) weights.push_back(value.weight);
  const double average = python_sum(sums, how) / python_sum(weights, how);
  return kind == Kind::weighted_perplexity ? std::exp(-average) : -average / std::log(2.0);
}

std::optional<double> standard_error(const std::string& metric, std::span<const MetricValue> values,
                                     const StderrOptions& options) {
  if (values.size() < 2 || options.bootstrap_iterations == 0) return std::nullopt;
  const std::vector<double> sums = plain(values);
  switch (kind_of(metric)) {
    case Kind::mean:
      return sample_stddev(sums, options.sum) / std::sqrt(static_cast<double>(sums.size()));
    case Kind::perplexity:
      return bootstrap_perplexity(sums, options);
    case Kind::weighted_perplexity:
    case Kind::bits_per_byte:
      break;
  }
  return std::nullopt;
}

bool higher_is_better(const std::string& metric) { return kind_of(metric) == Kind::mean && metric != "kept_tokens"; }

double group_value(std::span<const GroupMember> members, PythonSum how) {
  std::vector<double> weighted;
  double total = 0;
  for (const GroupMember& member : members) {
    weighted.push_back(member.value * static_cast<double>(member.documents));
    total += static_cast<double>(member.documents);
  }
  return python_sum(weighted, how) / total;
}

std::optional<double> group_error(std::span<const GroupMember> members, PythonSum how) {
  std::vector<double> terms;
  double total = 0;
  for (const GroupMember& member : members) {
    if (!member.error) return std::nullopt;
    const auto size = static_cast<double>(member.documents);
    terms.push_back((size - 1) * *member.error * *member.error * size);
    total += size;
  }
  return std::sqrt(python_sum(terms, how) / (total - static_cast<double>(members.size())) / total);
}

}  // namespace proctor
