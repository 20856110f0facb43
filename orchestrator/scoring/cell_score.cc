#include "orchestrator/scoring/cell_score.h"

#include <algorithm>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/hashes.h"
#include "orchestrator/task_types/generation_ask.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;
using python::Ascii;

/// One document's requests and responses.
struct Answered {
  const Document* document;
  std::size_t index;
  std::span<const Request> requests;
  std::span<const Response> responses;

  std::string failure;  // why there is no score; "" if there is one
};

std::vector<FilterPipeline> filters_of(const Task& task) {
  if (!task.filters.empty()) return task.filters;
  if (!task_type_of(task).is_scored()) return {};
  FilterPipeline first;
  first.steps.emplace_back();
  first.steps.back().function = "take_first";
  return {first};
}

/// lm-eval's resps of what is scored: the log-likelihood, and its is_greedy, as strings; a text as it is.
Json response_text(const Response& response) {
  if (response.value.at(0).is_string()) return response.value.at(0);
  const std::string sum = python::float_repr(response.value.at(0).get<double>());
  if (response.value.at(1).is_boolean()) return Json::array({sum, response.value.at(1).get<bool>() ? "True" : "False"});
  return sum;
}

bool generates(const Answered& answered) { return answered.requests.front().ask.contains("until"); }

/// Of each instance its responses, and what the filter makes of them: one, or a list of several.
struct ResponseLists {
  Json responses = Json::array(), filtered = Json::array();
};
ResponseLists response_lists(const Answered& answered, const FilterPipeline& filter) {
  ResponseLists lists;
  if (!generates(answered)) {
    for (const Response& response : answered.responses) {
      lists.filtered.push_back(response_text(response));
      lists.responses.push_back(Json::array({lists.filtered.back()}));
    }
    return lists;
  }
  std::vector<std::string> texts;
  for (const Response& response : answered.responses) texts.push_back(response.value.at(0));
  lists.responses.push_back(texts);
  const std::vector<std::string> filtered = apply_filter(filter, texts);
  lists.filtered.push_back(filtered.size() == 1 ? Json(filtered.front()) : Json(filtered));
  return lists;
}

Json arguments_of(const Answered& answered) {
  Json arguments = Json::object();
  const std::size_t instances = generates(answered) ? 1 : answered.requests.size();  // repeats are of one instance
  for (std::size_t i = 0; i < instances; ++i) {
    const Request& request = answered.requests[i];
    Json texts = Json::object();
    for (std::size_t p = 0; p < request.parts.size(); ++p) texts["arg_" + std::to_string(p)] = request.parts[p];
    if (generates(answered)) texts["arg_" + std::to_string(request.parts.size())] = generation_kwargs(request.ask);
    arguments["gen_args_" + std::to_string(i)] = std::move(texts);
  }
  return arguments;
}

Json sample_line(const TaskTemplates& task, const TaskType& type, const Answered& answered,
                 const FilterPipeline& filter, const MetricValues& values) {
  Json line;
  line["doc_id"] = answered.index;
  line["doc"] = answered.document->row;
  line["target"] = type.target(task, *answered.document);
  line["arguments"] = arguments_of(answered);
  if (answered.failure.empty()) {
    ResponseLists lists = response_lists(answered, filter);
    line["resps"] = std::move(lists.responses);
    line["filtered_resps"] = std::move(lists.filtered);
  } else {
    line["resps"] = nullptr;
    line["error"] = answered.failure;
  }
  line["filter"] = filter.name;
  Json names = Json::array();
  for (const auto& [name, value] : values) names.push_back(name);
  line["metrics"] = std::move(names);
  line["doc_hash"] = sha256_hex(python::json_dumps(answered.document->row, Ascii::keep, 2));
  line["prompt_hash"] = sha256_hex(answered.requests.front().parts.front());
  line["target_hash"] = sha256_hex(line["target"].get<std::string>());
  for (const auto& [name, value] : values)
    line[name] = name.ends_with("_perplexity") || name == "bits_per_byte" ? Json::array({value.value, value.weight})
                                                                          : Json(value.value);
  return line;
}

std::string first_error(std::span<const Response> responses) {
  for (const Response& response : responses)
    if (!response.error.empty()) return response.error;
  return "";
}

/// A response that a filter cannot read (a pattern past its match limit) costs its document, not the run.
MetricValues score_one(const TaskTemplates& task, const TaskType& type, Answered& one, const FilterPipeline& filter) {
  if (!one.failure.empty()) return {};
  try {
    return type.score(task, *one.document, one.responses, filter);
  } catch (const Error& error) {
    one.failure = error.what();
  }
  return {};
}

/// Requests whose context lost its left end: the last value of their response.
std::size_t truncated(std::span<const Response> responses) {
  std::size_t count = 0;
  for (const Response& response : responses)
    if (response.error.empty() && response.value.size() > 2 && response.value.back().is_number())
      count += response.value.back() > 0;
  return count;
}

/// Of a response's values (sharding/protocol/request.h).
std::vector<std::string> names_of_values(const nlohmann::json& ask) {
  const std::string type = ask.at("type");
  if (type == "loglikelihood") return {"loglikelihood", "is_greedy", "tokens", "truncated"};
  if (type == "loglikelihood_rolling") return {"loglikelihood", "tokens"};
  if (ask.contains("logprobs")) return {"text", "tokens", "token_ids", "logprobs", "truncated"};
  return {"text", "tokens", "truncated"};
}

/// One line a request: what came of it, under the names that its type gives it (docs/requests.md).
Json response_line(const Answered& answered) {
  Json line;
  line["id"] = answered.document->row.value("id", Json(answered.index));
  const Response& response = answered.responses.front();
  if (!response.error.empty()) {
    line["error"] = response.error;
    return line;
  }
  const std::vector<std::string> names = names_of_values(answered.requests.front().ask);
  for (std::size_t i = 0; i < names.size(); ++i) line[names[i]] = response.value.at(i);
  return line;
}

}  // namespace

CellScore score_cell(const TaskTemplates& task, const CellRequests& cell, std::span<const Response> responses,
                     const StderrOptions& options) {
  const TaskType& type = task_type_of(*task.task);
  if (std::optional<CellScore> whole = type.score_set(task, cell, responses)) return std::move(*whole);
  CellScore score;
  std::vector<Answered> answered;
  for (std::size_t d = 0; d < cell.documents.size(); ++d) {
    const std::uint32_t first = cell.first_request[d], count = cell.first_request[d + 1] - first;
    answered.push_back({&cell.documents[d], d, std::span(cell.requests).subspan(first, count),
                        responses.subspan(first, count), first_error(responses.subspan(first, count))});
  }
  std::string hashes;
  if (!type.is_scored())
    for (const Answered& one : answered) score.samples += python::json_dumps(response_line(one), Ascii::keep) + "\n";
  for (const FilterPipeline& filter : filters_of(*task.task)) {
    std::map<std::string, std::vector<MetricValue>> columns;
    for (Answered& one : answered) {
      const MetricValues values = score_one(task, type, one, filter);
      for (const auto& [name, value] : values) columns[name].push_back(value);
      const Json line = sample_line(task, type, one, filter, values);
      for (const char* hash : {"doc_hash", "prompt_hash", "target_hash"}) hashes += line[hash].get<std::string>();
      score.samples += python::json_dumps(line, Ascii::keep) + "\n";
    }
    for (const auto& [name, values] : columns)
      score.metrics.push_back(
          {name, filter.name, aggregate(name, values, options.sum), standard_error(name, values, options)});
  }
  for (const Answered& one : answered)
    if (!one.failure.empty()) score.failures.push_back(one.document->where() + ": " + one.failure);
  score.documents = answered.size();
  score.effective = answered.size() - score.failures.size();
  score.truncated = truncated(responses);
  score.task_hash = sha256_hex(hashes);
  return score;
}

}  // namespace proctor
