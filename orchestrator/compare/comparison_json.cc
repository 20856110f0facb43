#include "orchestrator/compare/comparison_json.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}
Json end_of(const std::optional<Interval>& interval, double Interval::*end) {
  return interval ? Json((*interval).*end) : Json(nullptr);
}

}  // namespace

Json as_json(const ComparedMetric& one) {
  const PairedResult& result = one.result;
  return {{"task", one.key.task},
          {"metric", one.key.metric},
          {"filter", one.key.filter},
          {"tasks", one.tasks.empty() ? Json() : Json(one.tasks)},
          {"higher_is_better", one.higher_is_better},
          {"n", result.n},
          {"only_a", one.only_a},
          {"only_b", one.only_b},
          {"a", result.a},
          {"b", result.b},
          {"difference", result.difference},
          {"stderr", or_null(result.stderr_)},
          {"low", end_of(result.interval, &Interval::low)},
          {"high", end_of(result.interval, &Interval::high)},
          {"p", or_null(result.p)},
          {"p_adjusted", or_null(one.p_adjusted)},
          {"test", result.test},
          {"wins_a", result.wins_a},
          {"wins_b", result.wins_b},
          {"bootstrap_low", end_of(result.bootstrap, &Interval::low)},
          {"bootstrap_high", end_of(result.bootstrap, &Interval::high)},
          {"detectable", or_null(result.detectable)},
          {"documents_needed", or_null(result.documents_needed)}};
}

}  // namespace proctor
