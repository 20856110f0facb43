#include "orchestrator/scoring/sample_line.h"

#include <algorithm>
#include <set>
#include <utility>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/corpus_metrics.h"
#include "orchestrator/task_types/generation.h"
#include "orchestrator/task_types/row_options.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;
using python::Ascii;

/// lm-eval's resps of what is scored: the log-likelihood, and its is_greedy, as strings.
Json response_text(const Answer& answer) {
  if (const auto* scored = std::get_if<LoglikelihoodAnswer>(&answer))
    return Json::array({python::float_repr(scored->loglikelihood), scored->is_greedy ? "True" : "False"});
  if (const auto* rolling = std::get_if<RollingAnswer>(&answer)) return python::float_repr(rolling->loglikelihood);
  return std::get<CompressAnswer>(answer).text;
}

bool generates(const Answered& answered) {
  return !answered.requests.empty() && std::holds_alternative<Generate>(answered.requests.front().ask);
}

/// The first request of each instance; those behind it draw other texts of the same prompt.
std::vector<std::size_t> instances_of(const Answered& answered) {
  std::vector<std::size_t> first;
  for (std::size_t r = 0; r < answered.requests.size(); ++r)
    if (r == 0 || !generates(answered) || answered.requests[r].parts != answered.requests[r - 1].parts)
      first.push_back(r);
  return first;
}

/// Of each instance its responses, and what the filter makes of them: one, or a list of several.
struct ResponseLists {
  Json responses = Json::array(), filtered = Json::array();
};
ResponseLists response_lists(const Answered& answered, const FilterPipeline& filter) {
  ResponseLists lists;
  if (!generates(answered)) {
    for (const Response& response : answered.responses) {
      lists.filtered.push_back(response_text(response.answer));
      lists.responses.push_back(Json::array({lists.filtered.back()}));
    }
    return lists;
  }
  const std::vector<std::size_t> first = instances_of(answered);
  for (std::size_t i = 0; i < first.size(); ++i) {
    const std::size_t end = i + 1 < first.size() ? first[i + 1] : answered.responses.size();
    const std::span<const Response> mine = answered.responses.subspan(first[i], end - first[i]);
    std::vector<std::string> texts;
    for (const Response& response : mine) texts.push_back(std::get<GenerateAnswer>(response.answer).text);
    lists.responses.push_back(texts);
    const std::vector<std::string> filtered = apply_filter(of_row(filter, *answered.document), answers_of(mine));
    lists.filtered.push_back(filtered.size() == 1 ? Json(filtered.front()) : Json(filtered));
  }
  return lists;
}

/// What was asked, as texts: a context with images is one, with `<image>` where they stand.
std::vector<std::string> shown_parts(const Request& request) {
  std::vector<std::string> texts;
  if (!has_image(request)) {
    for (const Part& part : request.parts) texts.push_back(text_of(part));
    return texts;
  }
  texts.push_back(shown_context(request));
  for (std::size_t p = context_of(request).size(); p < request.parts.size(); ++p) texts.push_back(text_of(request, p));
  return texts;
}

/// Those that came as bytes lie in the run directory, under their hash: the same text for every run.
std::string shown_path(const Image& image) {
  return image.path.ends_with("/" + image.hash) ? "images/" + image.hash : image.path;
}

/// Each image of a document's requests once, in their order.
Json images_of(std::span<const Request> requests) {
  Json images = Json::array();
  std::set<std::string> seen;
  for (const Request& request : requests)
    for (const Part& part : request.parts)
      if (const auto* image = std::get_if<Image>(&part); image && seen.insert(image->hash).second)
        images.push_back(
            {{"path", shown_path(*image)}, {"hash", image->hash}, {"height", image->height}, {"width", image->width}});
  return images;
}

Json arguments_of(const Answered& answered) {
  Json arguments = Json::object();
  for (const std::size_t first : instances_of(answered)) {
    const Request& request = answered.requests[first];
    Json texts = Json::object();
    for (std::string& part : shown_parts(request)) texts["arg_" + std::to_string(texts.size())] = std::move(part);
    if (const auto* generate = std::get_if<Generate>(&request.ask))
      texts["arg_" + std::to_string(texts.size())] = generation_kwargs(*generate);
    arguments["gen_args_" + std::to_string(arguments.size())] = std::move(texts);
  }
  return arguments;
}

/// Of answers whose models reason first: tokens of trace and answer, and what never ended.
void add_traces(Json& line, std::span<const Response> responses) {
  Json traces = Json::array(), answers = Json::array();
  std::size_t unfinished = 0;
  for (const Response& response : responses) {
    const auto* answer = std::get_if<GenerateAnswer>(&response.answer);
    if (!answer || !answer->trace) continue;
    traces.push_back(answer->trace->tokens);
    answers.push_back(answer->tokens - answer->trace->tokens);
    unfinished += answer->trace->end == ReasoningTrace::End::none;
  }
  if (traces.empty()) return;
  line["reasoning_tokens"] = std::move(traces);
  line["answer_tokens"] = std::move(answers);
  if (unfinished > 0) line["unfinished_reasoning"] = unfinished;
}

/// A document's value as lm-eval has it: of corpus metrics what they compare.
Json shown(const std::string& name, const MetricValue& value, const Json& line) {
  if (!value.counts.empty()) return Json::array({line["target"], line["filtered_resps"].at(0)});
  if (name.ends_with("_perplexity") || name == "bits_per_byte" || name == "ece")
    return Json::array({value.value, value.weight});
  if (find_corpus_metric(name))
    return Json::array({static_cast<std::int64_t>(value.value), static_cast<std::int64_t>(value.weight)});
  return value.value;
}

void add_answer(Json& line, const LoglikelihoodAnswer& answer) {
  line["loglikelihood"] = answer.loglikelihood;
  line["is_greedy"] = answer.is_greedy;
  line["tokens"] = answer.tokens;
  line["truncated"] = answer.truncated;
}
void add_answer(Json& line, const RollingAnswer& answer) {
  line["loglikelihood"] = answer.loglikelihood;
  line["tokens"] = answer.tokens;
}
void add_answer(Json& line, const GenerateAnswer& answer) {
  line["text"] = answer.text;
  line["tokens"] = answer.tokens;
  if (answer.chosen) {
    line["token_ids"] = answer.chosen->ids;
    line["logprobs"] = answer.chosen->logprobs;
  }
  line["truncated"] = answer.truncated;
}

}  // namespace

std::string sample_line(const TaskTemplates& task, const TaskType& type, const Answered& answered,
                        const FilterPipeline& filter, const MetricValues& values, const SampleHashes& hashes) {
  Json line;
  line["doc_id"] = answered.index;
  line["doc"] = answered.document->row;
  line["target"] = type.target(task, *answered.document);
  line["arguments"] = arguments_of(answered);
  if (Json images = images_of(answered.requests); !images.empty()) line["images"] = std::move(images);
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
  line["doc_hash"] = hex(hashes.document);
  line["prompt_hash"] = hex(hashes.prompt);
  line["target_hash"] = hex(hashes.target);
  for (const auto& [name, value] : values) line[name] = shown(name, value, line);
  if (const auto truncated =
          std::ranges::count_if(answered.responses, [](const Response& one) { return truncated_of(one.answer) > 0; }))
    line["truncated"] = truncated;
  add_traces(line, answered.responses);
  return python::json_dumps(line, Ascii::keep) + "\n";
}

std::string response_line(const Answered& answered) {
  Json line;
  line["id"] = answered.document->row.value("id", Json(answered.index));
  const Response none;
  const Response& response = answered.responses.empty() ? none : answered.responses.front();
  if (!answered.failure.empty())
    line["error"] = answered.failure;
  else
    std::visit(
        [&](const auto& answer) {
          if constexpr (requires { add_answer(line, answer); }) add_answer(line, answer);
        },
        response.answer);
  return python::json_dumps(line, Ascii::keep) + "\n";
}

}  // namespace proctor
