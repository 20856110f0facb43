#include "orchestrator/metrics/set_metrics.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Values = std::span<const MetricValue>;

/// Of numbers that belong together.
struct Tally {
  double sum = 0;
  int count = 0;
  bool has_main = false;

  double mean() const { return sum / count; }
};

double mean_of(const std::vector<double>& all) {
  double sum = 0;
  for (const double one : all) sum += one;
  return sum / static_cast<double>(all.size());
}

enum class Ability { perception, cognition };

/// Keys: category, image. Per category the mean over images of acc and acc+ (both right), in per cent each; added over
/// the categories (Fu et al., 2023). Images without exactly two answers do not count.
template <Ability kWanted>
double mme_score(Values values) {
  constexpr std::array<std::string_view, 10> kPerception = {"existence", "count", "position", "color",   "posters",
                                                            "celebrity", "scene", "landmark", "artwork", "OCR"};
  std::map<std::string, std::map<std::string, Tally>> categories;
  for (const MetricValue& one : values) {
    const bool perceives = std::ranges::find(kPerception, one.keys[0]) != kPerception.end();
    if (perceives != (kWanted == Ability::perception)) continue;
    Tally& image = categories[one.keys[0]][one.keys[1]];
    image.sum += one.value, ++image.count;
  }
  double score = 0;
  bool some = false;
  for (const auto& [category, images] : categories) {
    std::vector<double> points;
    for (const auto& [image, tally] : images)
      if (tally.count == 2) points.push_back(100 * tally.mean() + (tally.sum == 2 ? 100 : 0));
    if (!points.empty()) score += mean_of(points), some = true;
  }
  return some ? score : std::nan("");
}

/// Key: a category. The mean of the categories' means.
double macro_mean(Values values) {
  std::map<std::string, Tally> groups;
  for (const MetricValue& one : values) groups[one.keys[0]].sum += one.value, ++groups[one.keys[0]].count;
  std::vector<double> means;
  for (const auto& [key, group] : groups) means.push_back(group.mean());
  return mean_of(means);
}

/// Key: MMBench's index, a question's with its options in their first order, and a million more for each other order.
/// The share of questions that are right in all of them (Liu et al., 2023).
double circular_share(Values values) {
  constexpr std::int64_t kTurn = 1'000'000;
  std::map<std::int64_t, Tally> questions;
  for (const MetricValue& one : values) {
    std::int64_t index = 0;
    const std::string& text = one.keys[0];
    const auto read = std::from_chars(text.data(), text.data() + text.size(), index);
    PROCTOR_CHECK(read.ec == std::errc() && index >= 0, "an index is checked where its document is scored");
    Tally& question = questions[index % kTurn];
    question.sum += one.value, ++question.count;
    question.has_main = question.has_main || index < kTurn;
  }
  std::vector<double> right;
  for (const auto& [index, question] : questions)
    if (question.has_main) right.push_back(question.sum == question.count);
  return mean_of(right);
}

constexpr SetMetric kTable[] = {
    {"mme_perception_score", mme_score<Ability::perception>},
    {"mme_cognition_score", mme_score<Ability::cognition>},
    {"exact_match_macro", macro_mean},
    {"exact_match_circular", circular_share},
};

}  // namespace

const SetMetric* find_set_metric(const std::string& name) {
  const auto* const found = std::ranges::find_if(kTable, [&](const SetMetric& row) { return row.name == name; });
  return found == std::end(kTable) ? nullptr : found;
}

}  // namespace proctor
