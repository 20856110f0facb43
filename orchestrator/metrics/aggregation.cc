#include "orchestrator/metrics/aggregation.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "orchestrator/metrics/bootstrap.h"
#include "orchestrator/metrics/corpus_metrics.h"
#include "orchestrator/metrics/set_metrics.h"

namespace proctor {
namespace {

enum class Kind { mean, mean_without_error, perplexity, weighted_perplexity, bits_per_byte, corpus, calibration, set };

struct Row {
  const char* name;
  Kind kind;
};
/// Those of which less is better. Others are corpus metrics, or means of which more is.
constexpr Row kLessIsBetter[] = {{"perplexity", Kind::perplexity},
                                 {"word_perplexity", Kind::weighted_perplexity},
                                 {"byte_perplexity", Kind::weighted_perplexity},
                                 {"bits_per_byte", Kind::bits_per_byte},
                                 {"brier_score", Kind::mean_without_error},  // lm-eval gives none
                                 {"ece", Kind::calibration},
                                 {"kept_tokens", Kind::mean}};

const Row* find_row(const std::string& metric) {
  const auto* const found = std::ranges::find_if(kLessIsBetter, [&](const Row& row) { return row.name == metric; });
  return found == std::end(kLessIsBetter) ? nullptr : found;
}

Kind kind_of(const std::string& metric) {
  if (const Row* row = find_row(metric)) return row->kind;
  if (find_set_metric(metric)) return Kind::set;
  return find_corpus_metric(metric) ? Kind::corpus : Kind::mean;
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

double corpus_figure(const CorpusMetric& metric, std::span<const MetricValue> values) {
  const std::size_t classes = classes_of(values);
  std::vector<double> sums;
  for (const MetricValue& one : values) {
    const std::vector<double> counts = metric.counts(one, classes);
    sums.resize(std::max(sums.size(), counts.size()));
    for (std::size_t i = 0; i < counts.size(); ++i) sums[i] += counts[i];
  }
  return metric.figure(sums);
}

/// Columns of whole numbers, several in one number wherever their sums over so many documents stay exact:
/// a draw costs the same for one as for three.
struct Packed {
  std::vector<std::vector<double>> columns;  // each holds `each` columns of counts, the first in the lowest bits
  std::size_t each = 1;
  double base = 1;
};
Packed packed(const std::vector<std::vector<double>>& counts) {
  Packed out;
  double most = 1;
  bool whole = true;
  for (const std::vector<double>& of_document : counts)
    for (const double count : of_document) most = std::max(most, count), whole = whole && count == std::floor(count);
  const double highest = most * static_cast<double>(counts.size()) + 1;
  constexpr double kExact = 0x1p53;
  out.base = std::exp2(std::ceil(std::log2(highest)));
  if (whole) out.each = static_cast<std::size_t>(std::max(1.0, std::floor(std::log2(kExact) / std::log2(out.base))));
  for (std::size_t first = 0; first < counts[0].size(); first += out.each) {
    std::vector<double>& column = out.columns.emplace_back();
    for (const std::vector<double>& of_document : counts) {
      double sum = 0, place = 1;
      for (std::size_t i = first; i < std::min(first + out.each, of_document.size()); ++i, place *= out.base)
        sum += of_document[i] * place;
      column.push_back(sum);
    }
  }
  return out;
}

std::optional<double> bootstrap_corpus(const CorpusMetric& metric, std::span<const MetricValue> values,
                                       const StderrOptions& options) {
  const std::uint32_t iterations = std::min(options.bootstrap_iterations, metric.most_replicates);
  std::vector<std::vector<double>> counts;
  const std::size_t classes = classes_of(values);
  for (const MetricValue& one : values) counts.push_back(metric.counts(one, classes));
  const std::size_t size = counts[0].size();
  const Packed columns = packed(counts);
  std::vector<std::vector<double>> sums;
  for (const std::vector<double>& column : columns.columns)
    sums.push_back(resampled_sums(column, iterations, options.sum, options.threads));
  std::vector<double> replicates, unpacked(size);
  for (std::size_t r = 0; r < sums[0].size(); ++r) {
    for (std::size_t c = 0; c < sums.size(); ++c) {
      double left = sums[c][r];
      for (std::size_t i = c * columns.each; i < std::min(size, (c + 1) * columns.each); ++i) {
        const double high = columns.each == 1 ? 0 : std::floor(left / columns.base);
        unpacked[i] = left - high * columns.base;
        left = high;
      }
    }
    replicates.push_back(metric.figure(unpacked));
  }
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
  if (kind == Kind::mean || kind == Kind::mean_without_error) return mean(sums, how);
  if (kind == Kind::corpus) return corpus_figure(*find_corpus_metric(metric), values);
  if (kind == Kind::set) return find_set_metric(metric)->figure(values);
  if (kind == Kind::calibration) return expected_calibration_error(values);
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
    case Kind::corpus:
      return bootstrap_corpus(*find_corpus_metric(metric), values, options);
    case Kind::mean_without_error:
    case Kind::weighted_perplexity:
    case Kind::bits_per_byte:
    case Kind::calibration:
    case Kind::set:
      break;
  }
  return std::nullopt;
}

bool higher_is_better(const std::string& metric) {
  if (const CorpusMetric* corpus = find_corpus_metric(metric)) return corpus->higher_is_better;
  return !find_row(metric);
}

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
