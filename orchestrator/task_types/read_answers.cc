// What tasks over answers read of types whose documents stand each for itself.
#include <type_traits>

#include "orchestrator/metrics/corpus_metrics.h"
#include "orchestrator/metrics/set_metrics.h"
#include "orchestrator/task_types/generation.h"
#include "orchestrator/task_types/row_options.h"
#include "orchestrator/task_types/task_type.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

/// A figure that is one document's own: not a share in a corpus, nor in a set.
bool is_of_a_document(const Metric& metric) {
  return metric.code.empty() && !find_corpus_metric(metric.name) && !find_set_metric(metric.name);
}

Json metrics_of(const TaskType& type, const TaskTemplates& task, const Document& document,
                std::span<const Response> responses) {
  Json metrics = Json::object();
  if (!type.is_scored()) return metrics;
  const MetricValues values = type.score(task, document, responses, filters_of(*task.task).front());
  for (const Metric& metric : task.task->metrics)
    if (const auto value = values.find(metric.name); is_of_a_document(metric) && value != values.end())
      metrics[metric.name] = value->second.value;
  return metrics;
}

std::span<const Response> of_document(const CellRequests& cell, std::span<const Response> responses, std::size_t d) {
  return responses.subspan(cell.first_request[d], cell.first_request[d + 1] - cell.first_request[d]);
}

constexpr std::int64_t kForeseenTokens = 128;  // most of a text that is made up

Answer foreseen(const Ask& ask) {
  if (std::holds_alternative<Loglikelihood>(ask)) return LoglikelihoodAnswer{-1, false, 1, 0};
  if (std::holds_alternative<LoglikelihoodRolling>(ask)) return RollingAnswer{-1, 1};
  const auto words = [](std::int64_t tokens) {
    std::string text;
    for (std::int64_t i = 0; i < std::min(tokens, kForeseenTokens); ++i) text += i == 0 ? "word" : " word";
    return text;
  };
  if (const auto* generate = std::get_if<Generate>(&ask))
    return GenerateAnswer{words(generate->max_gen_toks), std::min(generate->max_gen_toks, kForeseenTokens), {}, 0, {}};
  if (const auto* compress = std::get_if<Compress>(&ask))
    return CompressAnswer{words(compress->target_tokens), compress->target_tokens, compress->target_tokens};
  if (std::holds_alternative<ScorePair>(ask)) return ScorePairAnswer{};
  return EmbedAnswer{};
}

}  // namespace

nlohmann::ordered_json TaskType::answer(const TaskTemplates&, const Document&,
                                        std::span<const Response> responses) const {
  Json json = Json::object();
  std::visit(
      [&](const auto& first) {
        using Kind = std::decay_t<decltype(first)>;
        if constexpr (std::is_same_v<Kind, GenerateAnswer>) {
          const std::vector<std::string> texts = answers_of(responses);
          json["text"] = texts.front();
          if (texts.size() > 1) json["texts"] = texts;
          json["tokens"] = first.tokens;
        }
        if constexpr (std::is_same_v<Kind, CompressAnswer>) json["text"] = first.text, json["tokens"] = first.kept;
        if constexpr (requires { first.loglikelihood; }) json["score"] = first.loglikelihood;
      },
      responses.front().answer);
  return json;
}

std::vector<ReadAnswer> TaskType::read(const TaskTemplates& task, const CellRequests& cell, const CellAnswers& answered,
                                       std::size_t) const {
  std::vector<ReadAnswer> all(cell.documents.size());
  for (std::size_t d = 0; d < all.size(); ++d) {
    const std::span<const Response> mine = of_document(cell, answered.responses, d);
    all[d].failure = cell.documents[d].failure.empty() ? first_error(mine) : cell.documents[d].failure;
    if (!all[d].failure.empty()) continue;
    try {
      all[d].value = answer(task, cell.documents[d], mine);
      all[d].value["metrics"] = metrics_of(*this, task, cell.documents[d], mine);
    } catch (const Error& error) {  // of an answer that a filter cannot read
      all[d].failure = error.what();
    }
  }
  return all;
}

std::vector<ReadAnswer> TaskType::foresee(const TaskTemplates& task, const CellRequests& cell, std::size_t) const {
  std::vector<ReadAnswer> all(cell.documents.size());
  for (std::size_t d = 0; d < all.size(); ++d) {
    std::vector<Response> responses;
    for (std::uint32_t r = cell.first_request[d]; r < cell.first_request[d + 1]; ++r)
      responses.push_back({foreseen(cell.requests[r].ask), ""});
    all[d].value = answer(task, cell.documents[d], responses);
    all[d].value["metrics"] = Json::object();
    if (!is_scored()) continue;
    for (const Metric& metric : task.task->metrics)
      if (is_of_a_document(metric)) all[d].value["metrics"][metric.name] = 0.0;
  }
  return all;
}

}  // namespace proctor
