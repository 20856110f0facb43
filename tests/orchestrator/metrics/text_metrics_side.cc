// For tools/compare_metrics: lines {"metric": "bleu|chrf|chrf++|ter|rouge", "pairs": [[prediction, [reference, ...]],
// ...], "stem": bool} in; a line out for each: the corpus's figure, or of rouge [r1, r2, rL, rLsum] of each pair with
// its first reference. {"metric": NAME, "numbers": [[a, b], ...]}: a figure of classes, of calibration or a
// correlation. And {"metric": "porter", "words": [word, ...]} in, [stem, ...] out.
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "orchestrator/metrics/aggregation.h"
#include "orchestrator/metrics/porter_stemmer.h"
#include "orchestrator/metrics/retrieval_metrics.h"
#include "orchestrator/metrics/rouge.h"
#include "orchestrator/metrics/text_metric_table.h"

namespace {

double corpus_figure(const std::string& metric, const nlohmann::json& pairs) {
  std::vector<proctor::MetricValue> values;
  for (const auto& pair : pairs)
    values.push_back(proctor::text_metric(metric, pair[0], pair[1].get<std::vector<std::string>>(), {}));
  return proctor::aggregate(metric, values);
}

nlohmann::json rouge_of(const nlohmann::json& pairs, proctor::Stem stem) {
  auto out = nlohmann::json::array();
  for (const auto& pair : pairs) {
    const auto scores = proctor::rouge(pair[0], pair[1][0], stem);
    out.push_back({scores.rouge1, scores.rouge2, scores.rougeL, scores.rougeLsum});
  }
  return out;
}

/// Of pairs of numbers: (right, chosen) of classes, (confidence, right), two columns to correlate.
double of_numbers(const std::string& metric, const nlohmann::json& numbers) {
  std::vector<proctor::MetricValue> values;
  std::vector<double> first, second;
  for (const auto& pair : numbers) {
    values.push_back({pair[0].get<double>(), pair[1].get<double>()});
    first.push_back(values.back().value), second.push_back(values.back().weight);
  }
  if (metric == "kendall") return proctor::kendall(first, second);
  if (metric == "spearman") return proctor::spearman(first, second);
  if (metric == "pearson") return proctor::pearson(first, second);
  return proctor::aggregate(metric, values);
}

nlohmann::json answer_to(const nlohmann::json& asked) {
  const std::string metric = asked["metric"];
  if (asked.contains("numbers")) return of_numbers(metric, asked["numbers"]);
  if (metric == "rouge")
    return rouge_of(asked["pairs"], asked.value("stem", false) ? proctor::Stem::porter : proctor::Stem::none);
  if (metric != "porter") return corpus_figure(metric, asked["pairs"]);
  auto stems = nlohmann::json::array();
  for (const auto& word : asked["words"]) stems.push_back(proctor::porter_stem(word.get<std::string>()));
  return stems;
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);)
    std::cout << answer_to(nlohmann::json::parse(line)).dump() << "\n";
}
