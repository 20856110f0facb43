#include "orchestrator/sidecar/sidecar_metrics.h"

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = Sidecar::Json;
constexpr std::chrono::seconds kDeadline{120};  // for some texts
constexpr std::size_t kAtOnce = 256;            // texts

std::string name_of(const CodeMetric& metric) { return metric.file + ":" + metric.function; }

}  // namespace

void SidecarMetrics::check(const CodeMetric& metric) {
  const Json request = {{"metric", metric.file}, {"function", metric.function}, {"items", Json::array()}};
  (void)sidecar_.ask(request, name_of(metric), kDeadline);
}

std::vector<CodeScore> SidecarMetrics::score(const CodeMetric& metric, std::span<const ScoredText> texts) {
  const std::lock_guard lock(mutex_);
  std::vector<CodeScore> scores;
  while (scores.size() < texts.size()) {
    const auto some = texts.subspan(scores.size()).first(std::min(kAtOnce, texts.size() - scores.size()));
    Json request = {{"metric", metric.file}, {"function", metric.function}, {"items", Json::array()}};
    for (const ScoredText& text : some)
      request["items"].push_back(
          {{"prediction", text.prediction}, {"references", text.references}, {"doc", *text.document}});
    try {
      if (const auto known = broken_.find(metric); known != broken_.end()) throw InputError(known->second);
      const Json answer = sidecar_.ask(request, name_of(metric), kDeadline);
      for (const Json& one : answer.at("values"))
        scores.push_back(one.is_object() ? CodeScore{0, one.at("error").get<std::string>()}
                                         : CodeScore{one.get<double>(), ""});
    } catch (const Error& error) {
      broken_.emplace(metric, error.what());
      for (std::size_t i = 0; i < some.size(); ++i) scores.push_back({0, error.what()});
    }
  }
  return scores;
}

}  // namespace proctor
