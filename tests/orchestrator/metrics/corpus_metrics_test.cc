// Figures of all documents together, and their bootstrap, beside scikit-learn 1.9 and lm-eval 0.4.13 (whose
// bootstrap_stderr drew 1,000 replicates for classes and 100 for translations).
#include "orchestrator/metrics/corpus_metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "orchestrator/metrics/aggregation.h"
#include "orchestrator/metrics/retrieval_metrics.h"
#include "orchestrator/metrics/translation_metrics.h"

namespace proctor {
namespace {

using Values = std::vector<MetricValue>;

/// (right, chosen), written as pairs of digits.
Values classes(const std::string& digits) {
  Values values;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    values.push_back({static_cast<double>(digits[i] - '0'), static_cast<double>(digits[i + 1] - '0')});
  return values;
}

const std::string kTwo =
    "101101100000000111110011000100001110001100000011000000000000000011110001000111100010110000110011110111001111111111"
    "001110";
const std::string kFour =
    "332311003322210020002322223322222211003222222233222222202233211133222311131121332203331132222200111333111111003311"
    "110011";

TEST(CorpusMetrics, classes_are_scikit_learns) {
  EXPECT_NEAR(aggregate("mcc", classes(kTwo)), 0.5959595959595959, 1e-14);
  EXPECT_NEAR(aggregate("f1", classes(kTwo)), 0.7777777777777778, 1e-14);
  EXPECT_NEAR(aggregate("f1_macro", classes(kTwo)), 0.797979797979798, 1e-14);
  EXPECT_NEAR(aggregate("mcc", classes(kFour)), 0.7098573696253433, 1e-14);
  EXPECT_NEAR(aggregate("f1_macro", classes(kFour)), 0.7873130190492619, 1e-14);
  EXPECT_NEAR(aggregate("f1_micro", classes(kFour)), 0.7833333333333333, 1e-14);
  EXPECT_NEAR(aggregate("f1_weighted", classes(kFour)), 0.784308180750306, 1e-14);
  EXPECT_EQ(aggregate("mcc", classes("1111")), 0) << "not defined";
  EXPECT_EQ(aggregate("f1", classes("0000")), 0);
}

TEST(CorpusMetrics, their_errors_are_lm_evals_bootstrap) {
  EXPECT_NEAR(*standard_error("mcc", classes(kTwo), {1000, PythonSum::naive, 2}), 0.10346289613640984, 1e-12);
  EXPECT_NEAR(*standard_error("f1", classes(kTwo), {1000, PythonSum::naive, 1}), 0.06185887031007121, 1e-12);
  EXPECT_FALSE(standard_error("brier_score", classes("0101"), {}));
  EXPECT_FALSE(standard_error("ece", classes("0101"), {}));
}

TEST(CorpusMetrics, translations_are_sacrebleus_with_lm_evals_errors) {
  const std::vector<std::pair<std::string, std::string>> texts = {
      {"the cat sat on a mat .", "the cat sat on the mat ."},
      {"the dog ran away today", "a dog ran far away today"},
      {"it rains in Berlin", "it is raining in Berlin"},
      {"no words here", "no more words here now"}};
  const auto expect = [&](const std::string& name, auto counts, double figure, double error) {
    Values values;
    for (const auto& [prediction, reference] : texts)
      values.push_back({0, 1, counts(prediction, std::span(&reference, 1))});
    EXPECT_NEAR(aggregate(name, values), figure, 1e-9) << name;
    EXPECT_NEAR(*standard_error(name, values, {100000, PythonSum::naive, 2}), error, 1e-9) << name;
    std::ranges::reverse(values);
    EXPECT_NEAR(aggregate(name, values), figure, 1e-9) << name << ", in another order";
  };
  expect("bleu", bleu_counts, 26.625371601283863, 10.53305513732541);
  expect(
      "chrf", [](auto& p, auto r) { return chrf_counts(p, r, 0); }, 56.04273584388388, 3.602986667970537);
  expect(
      "chrf++", [](auto& p, auto r) { return chrf_counts(p, r, 2); }, 56.53828981632817, 4.416463871515837);
  expect("ter", ter_counts, 30.434782608695656, 6.019446217812234);
}

TEST(CorpusMetrics, calibration_is_of_fifteen_bins) {
  const Values sure = {{1.0, 1}, {1.0, 0}};
  EXPECT_NEAR(aggregate("ece", sure), 0.5, 1e-15);
  const Values apart = {{0.2, 1}, {0.9, 1}};  // bins (0.133, 0.2] and (0.867, 0.933]
  EXPECT_NEAR(aggregate("ece", apart), (0.8 + 0.1) / 2, 1e-15);
  const Values together = {{0.35, 1}, {0.36, 0}};
  EXPECT_NEAR(aggregate("ece", together), std::fabs(0.71 - 1) / 2, 1e-15);
}

TEST(Kendall, is_tau_b) {
  const std::vector<double> a = {1, 2, 2, 3, 5, 5, 0}, b = {2, 1, 2, 3, 3, 4, 0};
  EXPECT_NEAR(kendall(a, b), 0.7894736842105262, 1e-12) << "scipy.stats.kendalltau";
  EXPECT_TRUE(std::isnan(kendall(std::vector<double>{1, 1}, std::vector<double>{1, 2})));
}

}  // namespace
}  // namespace proctor
