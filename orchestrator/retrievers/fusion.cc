// One ranking of several. rrf: reciprocal rank fusion (Cormack et al., SIGIR 2009), equal scores sharing the better
// rank. convex: a weighted sum of normalised scores (Bruch et al., "An Analysis of Fusion Functions for Hybrid
// Retrieval", 2022); what a ranking lacks, and the scores of one whose scores are all equal, count as 0, as in AutoRAG.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <unordered_map>

#include "orchestrator/metrics/retrieval_metrics.h"
#include "orchestrator/retrievers/option_values.h"
#include "orchestrator/retrievers/retriever.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

enum class Method { rrf, convex };
enum class Normalize { min_max, tmm, z, dbsf };
constexpr std::array<std::string_view, 2> kMethods = {"rrf", "convex"};
constexpr std::array<std::string_view, 4> kNormalize = {"min_max", "tmm", "z", "dbsf"};

struct Formula {
  Method method = Method::rrf;
  Normalize normalize = Normalize::min_max;
  double k = 60;
  std::vector<double> weights;   // of each ranking; none: all alike
  std::vector<double> minimums;  // tmm: the least that a score of each ranking can be

  explicit Formula(const nlohmann::json& options) {
    method = static_cast<Method>(choice_option(options, "method", kMethods));
    normalize = static_cast<Normalize>(choice_option(options, "normalize", kNormalize));
    k = number_option(options, "k", k, 0, std::numeric_limits<double>::infinity());
    weights = numbers_option(options, "weights");
    minimums = numbers_option(options, "minimums");
    const auto only = [&](const char* name, bool used, const char* where) {
      if (options.contains(name) && !used) throw UsageError(std::string(name) + ": does nothing but with " + where);
    };
    only("k", method == Method::rrf, "method: rrf");
    only("normalize", method == Method::convex, "method: convex");
    only("minimums", method == Method::convex && normalize == Normalize::tmm, "method: convex and normalize: tmm");
    if (std::ranges::any_of(weights, [](double weight) { return weight < 0; }))
      throw UsageError("weights: expected numbers of at least 0");
    if (method == Method::convex && normalize == Normalize::tmm && minimums.empty())
      throw UsageError("minimums: is missing: the least that a score of each ranking can be (cosine: -1, BM25: 0)");
  }

  double weight(std::size_t list, std::size_t lists) const {
    if (!weights.empty()) return weights[list];
    return method == Method::rrf ? 1 : 1.0 / static_cast<double>(lists);
  }
};

/// 1 / (k + rank), ranks from 1; of equal scores the best of their ranks.
std::vector<double> points_by_rank(const std::vector<Ranked>& list, double k) {
  std::vector<double> scores, points;
  for (const Ranked& one : list) scores.push_back(one.score);
  std::ranges::sort(scores, std::greater());
  for (const Ranked& one : list) {
    const auto better = std::ranges::lower_bound(scores, one.score, std::greater()) - scores.begin();
    points.push_back(1 / (k + static_cast<double>(better) + 1));
  }
  return points;
}

std::vector<double> points_by_score(const std::vector<Ranked>& list, Normalize normalize, double minimum) {
  double least = std::numeric_limits<double>::infinity(), most = -least, mean = 0, squares = 0;
  const auto count = static_cast<double>(list.size());
  for (const Ranked& one : list) {
    least = std::min(least, one.score);
    most = std::max(most, one.score);
    mean += one.score / count;
  }
  for (const Ranked& one : list) squares += (one.score - mean) * (one.score - mean);
  const double deviation = std::sqrt(squares / count);
  double from = least, width = most - least;
  if (normalize == Normalize::tmm) from = minimum, width = most - minimum;
  if (normalize == Normalize::z) from = mean, width = deviation;
  if (normalize == Normalize::dbsf) from = mean - 3 * deviation, width = 6 * deviation;
  std::vector<double> points;
  const bool tells = width > 0 && (normalize == Normalize::tmm || most > least);
  for (const Ranked& one : list) points.push_back(tells ? (one.score - from) / width : 0);
  return points;
}

class Fusion final : public Retriever {
 public:
  explicit Fusion(const nlohmann::json& options) : formula_(options) {}

  std::vector<Ranked> retrieve(const Request& request) override {
    const auto& lists = std::get<Retrieve>(request.ask).lists;
    std::vector<Ranked> ranking;
    std::unordered_map<std::string, std::size_t> places;
    for (std::size_t l = 0; l < lists.size(); ++l) {
      const std::vector<double> points =
          formula_.method == Method::rrf
              ? points_by_rank(lists[l], formula_.k)
              : points_by_score(lists[l], formula_.normalize, formula_.minimums.empty() ? 0 : formula_.minimums[l]);
      for (std::size_t i = 0; i < points.size(); ++i) {
        const auto [place, fresh] = places.try_emplace(lists[l][i].passage, ranking.size());
        if (fresh) ranking.push_back({lists[l][i].passage, 0});
        ranking[place->second].score += formula_.weight(l, lists.size()) * points[i];
      }
    }
    sort_as_trec_eval(ranking);
    return ranking;
  }

 private:
  Formula formula_;
};

}  // namespace

void check_fusion(const nlohmann::json& options) { (void)Formula(options); }

void check_weights(const nlohmann::json& options, std::size_t rankings) {
  const Formula formula(options);
  for (const auto& [name, list] : {std::pair("weights", &formula.weights), std::pair("minimums", &formula.minimums)})
    if (!list->empty() && list->size() != rankings)
      throw UsageError(std::string(name) + ": expected one for each of the " + std::to_string(rankings) +
                       " rankings, found " + std::to_string(list->size()));
}

std::unique_ptr<Retriever> open_fusion(const nlohmann::json& options) { return std::make_unique<Fusion>(options); }

}  // namespace proctor
