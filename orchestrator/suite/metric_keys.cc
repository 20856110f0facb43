#include <algorithm>
#include <cctype>

#include "orchestrator/metrics/corpus_metrics.h"
#include "orchestrator/metrics/regex.h"
#include "orchestrator/metrics/text_metric_table.h"
#include "orchestrator/metrics/verdicts.h"
#include "orchestrator/suite/task_keys.h"
#include "orchestrator/task_types/row_options.h"
#include "sharding/protocol/input_file.h"

namespace proctor {
namespace {

/// {python: FILE.py:FUNCTION}
Metric code_metric(const YamlFields& task, YamlFields fields, const TaskType& type) {
  const std::string text = fields.required_text("python");
  fields.finish();
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == text.size())
    fields.refuse("python", "expected FILE.py:FUNCTION, found '" + text + "'");
  Metric metric;
  metric.name = text.substr(colon + 1);
  metric.code = path_beside(task.file(), text.substr(0, colon));
  const auto word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  if (!std::ranges::all_of(metric.name, word)) fields.refuse("python", "'" + metric.name + "' is no function's name");
  if (is_text_metric(metric.name) || find_corpus_metric(metric.name) || metric.name.ends_with("_stderr"))
    fields.refuse("python", "'" + metric.name + "' is proctor's own name; call the function another");
  if (!type.takes_code()) fields.refuse("python", "only generate_until has metrics in Python");
  if (const auto why = why_no_file(metric.code)) fields.refuse("python", metric.code + ": " + *why);
  if (!is_there(metric.code)) fields.refuse("python", metric.code + ": no such file");
  return metric;
}

void check_verdict_options(const nlohmann::json& options, const std::string& where) {
  for (const auto& [key, value] : options.items())
    if ((key != "first" && key != "second") || !value.is_string())
      throw UsageError(where + ": expected first and second: the judge's words for the answers, found " + key + ": " +
                       value.dump());
}

}  // namespace

std::vector<Metric> read_metrics(YamlFields& fields, const TaskType& type) {
  std::vector<Metric> metrics;
  const YAML::Node node = fields.find("metrics");
  if (node.IsDefined() && !node.IsSequence()) fields.refuse("metrics", "expected a list");
  if (node.IsDefined())
    for (const auto& item : node) {
      Metric metric;
      if (item.IsMap() && item["python"].IsDefined()) {
        metric = code_metric(fields, YamlFields(item, fields.file(), "metric"), type);
      } else if (item.IsMap() && item.size() == 1) {
        metric.name = item.begin()->first.Scalar();
        metric.options = json_of(item.begin()->second);
      } else if (item.IsScalar()) {
        metric.name = item.Scalar();
      } else {
        throw UsageError(fields.where(item) + ": a metric is a name, or {name: {options}}");
      }
      metrics.push_back(metric);
    }
  if (metrics.empty())
    for (const std::string& name : type.default_metrics()) metrics.push_back({name, nlohmann::json::object()});
  const auto known = type.metrics();
  for (const Metric& metric : metrics) {
    if (!metric.code.empty()) continue;
    if (!type.has_metric(metric.name))
      fields.refuse("metrics",
                    "'" + metric.name + "' is no metric of this task type (its metrics: " + quoted_list(known) + ")");
    check_row_options(metric.options, fields.file() + ": metrics: " + metric.name);
    if (is_text_metric(metric.name))
      check_text_metric_options(metric.name, metric.options, fields.file() + ": metrics: " + metric.name);
    else if (is_verdict(metric.name))
      check_verdict_options(metric.options, fields.file() + ": metrics: " + metric.name);
    else if (!metric.options.empty())
      fields.refuse("metrics", "'" + metric.name + "' takes no options");
  }
  return metrics;
}

std::vector<CleanStep> read_clean(YamlFields& fields) {
  std::vector<CleanStep> steps;
  const YAML::Node node = fields.find("clean");
  if (node.IsDefined() && !node.IsSequence()) fields.refuse("clean", "expected a list of steps");
  for (const auto& item : node.IsDefined() ? node : YAML::Node(YAML::NodeType::Sequence)) {
    if (item.IsScalar() && item.Scalar() == "trim") {
      steps.push_back({CleanStep::What::trim, "", ""});
      continue;
    }
    YamlFields step(item, fields.file(), "step of clean");
    if (step.has("replace")) {
      const std::vector<std::string> pair = step.texts("replace");
      if (pair.size() != 2 || pair[0].empty()) step.refuse("replace", "expected [text, text in its place]");
      steps.push_back({CleanStep::What::replace, pair[0], pair[1]});
    } else {
      steps.push_back({CleanStep::What::remove, step.required_text("remove"), ""});
      (void)Regex(steps.back().pattern, step.where(item));  // refused here
    }
    step.finish();
  }
  return steps;
}

std::vector<FilterPipeline> read_filters(YamlFields& fields) {
  std::vector<FilterPipeline> filters;
  const YAML::Node node = fields.find("filters");
  if (!node.IsDefined()) return filters;
  if (!node.IsSequence()) fields.refuse("filters", "expected a list of {name, filter}");
  for (const auto& item : node) {
    YamlFields entry(item, fields.file(), "filter");
    FilterPipeline pipeline{entry.required_text("name"), {}};
    const YAML::Node steps = entry.find("filter");
    if (!steps.IsSequence() || steps.size() == 0) entry.refuse("filter", "expected a list of steps");
    for (const auto& step : steps) {
      YamlFields step_fields(step, fields.file(), "filter step");
      FilterStep one{step_fields.required_text("function"), json_of(step)};
      one.options.erase("function");
      check_row_options(one.options, step_fields.where(step));
      pipeline.steps.push_back(std::move(one));
    }
    entry.finish();
    check_filter(pipeline, fields.where(item));
    if (pipeline.name.ends_with("_stderr") || pipeline.name.find(',') != std::string::npos)
      entry.refuse("name",
                   "'" + pipeline.name + "' would be taken for something else in the results' keys (metric,filter)");
    for (const FilterPipeline& other : filters)
      if (other.name == pipeline.name) entry.refuse("name", "two filters are named '" + pipeline.name + "'");
    filters.push_back(std::move(pipeline));
  }
  return filters;
}

}  // namespace proctor
