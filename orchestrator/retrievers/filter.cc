// A ranking without its worst passages: those past a threshold, a share of them, or all but the first. One at least is
// left, as in AutoRAG.
#include <algorithm>
#include <cmath>
#include <limits>

#include "orchestrator/retrievers/option_values.h"
#include "orchestrator/retrievers/retriever.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

struct Rule {
  std::optional<double> threshold, percentile;
  std::optional<std::size_t> top;
  bool reverse = false;  // lower scores are the better ones

  explicit Rule(const nlohmann::json& options) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    threshold = number_option(options, "threshold", -kInfinity, kInfinity);
    percentile = number_option(options, "percentile", 0, 1);
    reverse = flag_option(options, "reverse");
    if (const auto count = number_option(options, "top", 1, 1e6)) {
      if (*count != std::floor(*count)) throw UsageError("top: expected a whole number of passages");
      top = static_cast<std::size_t>(*count);
    }
    if (int{threshold.has_value()} + int{percentile.has_value()} + int{top.has_value()} != 1)
      throw UsageError("options: expected one of threshold (a score), percentile (a share that is kept) and top");
  }
};

class Filter final : public Retriever {
 public:
  explicit Filter(const nlohmann::json& options) : rule_(options) {}

  std::vector<Ranked> retrieve(const Request& request) override {
    const auto& lists = std::get<Retrieve>(request.ask).lists;
    std::vector<Ranked> ranking = lists.empty() ? std::vector<Ranked>() : lists.front();
    std::ranges::stable_sort(
        ranking, [this](double a, double b) { return rule_.reverse ? a < b : a > b; }, &Ranked::score);
    std::size_t kept = ranking.size();
    if (rule_.top) kept = *rule_.top;
    if (rule_.percentile) kept = static_cast<std::size_t>(*rule_.percentile * static_cast<double>(ranking.size()));
    if (rule_.threshold)
      kept = static_cast<std::size_t>(std::ranges::count_if(ranking, [this](const Ranked& one) {
        return rule_.reverse ? one.score <= *rule_.threshold : one.score >= *rule_.threshold;
      }));
    ranking.resize(std::min(ranking.size(), std::max<std::size_t>(kept, 1)));
    return ranking;
  }

 private:
  Rule rule_;
};

}  // namespace

void check_filter(const nlohmann::json& options) { (void)Rule(options); }

std::unique_ptr<Retriever> open_filter(const nlohmann::json& options) { return std::make_unique<Filter>(options); }

}  // namespace proctor
