#include "orchestrator/metrics/repeats.h"

#include <algorithm>
#include <charconv>

namespace proctor {

std::optional<RepeatMetric> repeat_metric(const std::string& name) {
  const auto at = name.find('@');
  if (at == std::string::npos) return std::nullopt;
  const std::string kind = name.substr(0, at), count = name.substr(at + 1);
  RepeatMetric metric;
  if (kind != "pass" && kind != "maj" && kind != "avg") return std::nullopt;
  metric.kind = kind == "pass"  ? RepeatMetric::Kind::pass
                : kind == "maj" ? RepeatMetric::Kind::majority
                                : RepeatMetric::Kind::average;
  const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), metric.k);
  if (error != std::errc() || end != count.data() + count.size() || metric.k < 1 || count[0] == '0')
    return std::nullopt;
  return metric;
}

double pass_at(std::size_t texts, std::size_t right, std::size_t k) {
  if (texts - right < k) return 1;
  double none = 1;
  for (std::size_t i = texts - right + 1; i <= texts; ++i) none *= 1 - static_cast<double>(k) / static_cast<double>(i);
  return 1 - none;
}

std::size_t majority_of(std::span<const std::string> texts, std::size_t k) {
  const std::span<const std::string> first = texts.first(std::min(k, texts.size()));
  std::size_t best = 0;
  std::ptrdiff_t most = 0;
  for (std::size_t i = 0; i < first.size(); ++i)
    if (const auto count = std::ranges::count(first, first[i]); count > most) best = i, most = count;
  return best;
}

}  // namespace proctor
