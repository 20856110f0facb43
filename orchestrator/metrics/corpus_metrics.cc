#include "orchestrator/metrics/corpus_metrics.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "orchestrator/metrics/translation_metrics.h"
#include "orchestrator/metrics/yes_no.h"

namespace proctor {
namespace {

using Sums = std::span<const double>;

std::vector<double> own_counts(const MetricValue& value, std::size_t) { return value.counts; }

/// Row by row of the right class, a column for the chosen one.
std::vector<double> place_in_confusion(const MetricValue& value, std::size_t classes) {
  std::vector<double> matrix(classes * classes, 0);
  matrix[static_cast<std::size_t>(value.value) * classes + static_cast<std::size_t>(value.weight)] = 1;
  return matrix;
}

struct Confusion {
  explicit Confusion(Sums matrix) : classes(static_cast<std::size_t>(std::lround(std::sqrt(matrix.size())))) {
    right.resize(classes), chosen.resize(classes), hits.resize(classes);
    for (std::size_t r = 0; r < classes; ++r)
      for (std::size_t c = 0; c < classes; ++c) {
        const double count = matrix[r * classes + c];
        right[r] += count, chosen[c] += count, all += count;
        if (r == c) hits[r] += count;
      }
  }
  /// 0 where a class was neither right nor chosen.
  double f1(std::size_t c) const { return right[c] + chosen[c] > 0 ? 2 * hits[c] / (right[c] + chosen[c]) : 0; }
  bool occurs(std::size_t c) const { return right[c] + chosen[c] > 0; }

  std::size_t classes;
  std::vector<double> right, chosen, hits;  // of each class
  double all = 0;
};

/// Matthews' correlation for several classes (Gorodkin, 2004, R_K); 0 where it is not defined, as in scikit-learn.
double mcc(Sums matrix) {
  const Confusion confusion(matrix);
  double hits = 0, both = 0, right = 0, chosen = 0;
  for (std::size_t c = 0; c < confusion.classes; ++c) {
    hits += confusion.hits[c];
    both += confusion.right[c] * confusion.chosen[c];
    right += confusion.right[c] * confusion.right[c];
    chosen += confusion.chosen[c] * confusion.chosen[c];
  }
  const double n = confusion.all, spread = (n * n - chosen) * (n * n - right);
  return spread == 0 ? 0 : (hits * n - both) / std::sqrt(spread);
}

/// Of class 1, as scikit-learn's f1_score.
double f1_of_one(Sums matrix) {
  const Confusion confusion(matrix);
  return confusion.classes > 1 ? confusion.f1(1) : 0;
}

double f1_macro(Sums matrix) {
  const Confusion confusion(matrix);
  double sum = 0, classes = 0;
  for (std::size_t c = 0; c < confusion.classes; ++c)
    if (confusion.occurs(c)) sum += confusion.f1(c), classes += 1;
  return sum / classes;
}

/// Of one choice a document: the share of right ones.
double f1_micro(Sums matrix) {
  const Confusion confusion(matrix);
  double hits = 0;
  for (const double one : confusion.hits) hits += one;
  return hits / confusion.all;
}

double f1_weighted(Sums matrix) {
  const Confusion confusion(matrix);
  double sum = 0;
  for (std::size_t c = 0; c < confusion.classes; ++c) sum += confusion.f1(c) * confusion.right[c];
  return sum / confusion.all;
}

constexpr std::uint32_t kFew = 100, kAll = 100000;  // lm-eval's bootstrap_iters
constexpr std::uint32_t kMany = 1000;               // where lm-eval has none: sets of 9,000 rows in an instant

constexpr std::array<CorpusMetric, 13> kTable = {{
    {"bleu", true, kFew, own_counts, bleu_of},
    {"chrf", true, kFew, own_counts, [](Sums sums) { return chrf_of(sums, 0); }},
    {"chrf++", true, kFew, own_counts, [](Sums sums) { return chrf_of(sums, 2); }},
    {"ter", false, kFew, own_counts, ter_of},
    {"mcc", true, kAll, place_in_confusion, mcc},
    {"f1", true, kAll, place_in_confusion, f1_of_one},
    {"f1_macro", true, kAll, place_in_confusion, f1_macro},
    {"f1_micro", true, kAll, place_in_confusion, f1_micro},
    {"f1_weighted", true, kAll, place_in_confusion, f1_weighted},
    {"pope_precision", true, kMany, own_counts, yes_precision},
    {"pope_recall", true, kMany, own_counts, yes_recall},
    {"pope_f1_score", true, kMany, own_counts, yes_f1},
    {"pope_yes_ratio", true, kMany, own_counts, yes_ratio},
}};

}  // namespace

const CorpusMetric* find_corpus_metric(const std::string& name) {
  const auto* const found = std::ranges::find_if(kTable, [&](const CorpusMetric& row) { return row.name == name; });
  return found == kTable.end() ? nullptr : found;
}

std::size_t classes_of(std::span<const MetricValue> values) {
  double most = 0;
  for (const MetricValue& one : values) most = std::max({most, one.value, one.weight});
  return static_cast<std::size_t>(most) + 1;
}

double expected_calibration_error(std::span<const MetricValue> values) {
  constexpr std::size_t kBins = 15;
  struct Bin {
    double confidence = 0, right = 0;
  };
  std::array<Bin, kBins> bins;
  for (const MetricValue& one : values) {
    const double place = std::ceil(one.value * static_cast<double>(kBins)) - 1;
    Bin& bin = bins[static_cast<std::size_t>(std::clamp(place, 0.0, static_cast<double>(kBins - 1)))];
    bin.confidence += one.value;
    bin.right += one.weight;
  }
  double error = 0;
  for (const Bin& bin : bins) error += std::fabs(bin.confidence - bin.right);
  return error / static_cast<double>(values.size());
}

}  // namespace proctor
