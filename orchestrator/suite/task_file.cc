#include "orchestrator/suite/task_file.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <set>

#include "orchestrator/metrics/corpus_metrics.h"
#include "orchestrator/metrics/regex.h"
#include "orchestrator/metrics/repeats.h"
#include "orchestrator/metrics/text_metric_table.h"
#include "orchestrator/suite/data_place.h"
#include "orchestrator/suite/yaml_fields.h"
#include "orchestrator/task_types/generation.h"
#include "sharding/protocol/input_file.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Changes = std::vector<std::pair<std::string, std::string>>;

std::optional<TemplateList> template_list(YamlFields& fields, const std::string& key) {
  const YAML::Node node = fields.find(key);
  if (!node.IsDefined() || node.IsNull()) return std::nullopt;
  if (node.IsScalar()) return TemplateList(node.Scalar());
  const std::vector<std::string> texts = fields.texts(key);
  if (texts.empty()) fields.refuse(key, "is an empty list");
  return TemplateList(texts);
}

FewShot read_fewshot(YamlFields fields) {
  FewShot out;
  out.count = fields.whole("count", 0, 0);
  out.split = fields.text("split", out.split);
  const std::string sampler = fields.text("sampler", "random");
  if (sampler != "random" && sampler != "first_n")
    fields.refuse("sampler", "expected random or first_n, found '" + sampler + "'");
  out.sampler = sampler == "random" ? FewShot::Sampler::random : FewShot::Sampler::first_n;
  out.delimiter = fields.text("delimiter", out.delimiter);
  out.seed = static_cast<std::uint64_t>(fields.whole("seed", 1234, 0));
  const std::string as = fields.text("as", "turns");
  if (as != "turns" && as != "text") fields.refuse("as", "expected turns or text, found '" + as + "'");
  out.as = as == "turns" ? FewShot::As::turns : FewShot::As::text;
  fields.finish();
  return out;
}

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
    if (is_text_metric(metric.name))
      check_text_metric_options(metric.name, metric.options, fields.file() + ": metrics: " + metric.name);
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

std::vector<LogitBias> read_logit_bias(YamlFields& fields) {
  std::map<TokenId, double> by_id;
  const YAML::Node node = fields.find("logit_bias");
  if (node.IsDefined() && !node.IsMap()) fields.refuse("logit_bias", "expected a map, token id: number");
  if (node.IsDefined())
    for (const auto& entry : node) try {
        by_id[entry.first.as<TokenId>()] = entry.second.as<double>();
      } catch (const YAML::Exception&) {
        fields.refuse("logit_bias", "expected token id: number, found '" + entry.first.Scalar() + ": " +
                                        (entry.second.IsScalar() ? entry.second.Scalar() : "...") + "'");
      }
  std::vector<LogitBias> all;
  for (const auto& [id, added] : by_id) all.push_back({id, added});
  return all;
}

Tokens read_token_ids(YamlFields& fields, const std::string& key) {
  try {
    const YAML::Node node = fields.find(key);
    return node.IsDefined() ? node.as<Tokens>() : Tokens();
  } catch (const YAML::Exception&) {
    fields.refuse(key, "expected a list of token ids");
  }
}

Generation read_generation(YamlFields fields) {
  Generation out;
  if (fields.has("until")) out.until = fields.texts("until");
  out.max_gen_toks = fields.whole("max_gen_toks", out.max_gen_toks, 1);
  out.temperature = fields.get("temperature", out.temperature, "a number");
  out.top_p = fields.get("top_p", out.top_p, "a number");
  out.top_k = fields.whole("top_k", out.top_k, 0);
  if (fields.has("repetition_penalty")) out.repetition_penalty = fields.get("repetition_penalty", 1.0, "a number");
  out.repeats = fields.whole("repeats", out.repeats, 1, 10000);
  if (fields.has("max_thinking_toks")) out.max_thinking_toks = fields.whole("max_thinking_toks", 0, 0);
  out.min_p = fields.get("min_p", out.min_p, "a number");
  out.presence_penalty = fields.get("presence_penalty", out.presence_penalty, "a number");
  out.frequency_penalty = fields.get("frequency_penalty", out.frequency_penalty, "a number");
  out.min_tokens = fields.whole("min_tokens", out.min_tokens, 0);
  out.ignore_eos = fields.get("ignore_eos", out.ignore_eos, "true or false");
  out.stop_token_ids = read_token_ids(fields, "stop_token_ids");
  out.logit_bias = read_logit_bias(fields);
  fields.finish();
  if (const auto wrong = wrong_sampling(out)) fields.refuse(wrong->key, wrong->why);
  return out;
}

std::vector<std::string> data_files(YamlFields& fields, const std::string& key, const std::string& file) {
  DataPlace place = find_data(fields.required_text(key), file);
  if (!place.why_none.empty()) fields.refuse(key, place.why_none);
  return std::move(place.files);
}

/// Types whose data are queries, a corpus and qrels.
bool ranks(const std::string& type) { return type == "retrieval" || type == "rerank"; }

void read_data(YamlFields fields, Task& task, const std::string& file) {
  for (const auto& entry : fields.node())
    task.data[entry.first.Scalar()] = data_files(fields, entry.first.Scalar(), file);
  const std::map<std::string, std::vector<std::string>> several = {
      {"retrieval", {"corpus", "queries", "qrels"}}, {"rerank", {"corpus", "queries", "qrels", "candidates"}}};
  const auto found = several.find(task.type);
  const std::vector<std::string> needed = found == several.end() ? std::vector<std::string>{"test"} : found->second;
  for (const std::string& split : needed)
    if (!task.data.contains(split))
      throw UsageError(fields.where(fields.node()) + ": task " + task.name + ": data: '" + split + "' is missing");
  for (const auto& [name, files] : task.data)
    if (found != several.end() && std::ranges::find(needed, name) == needed.end())
      fields.refuse(name, "is not read by task type " + task.type + " (" + quoted_list(needed) + " are)");
}

/// What each type needs and what would be left unread.
void check_task(YamlFields& fields, const Task& task) {
  const TaskTemplates compiled = compile(task);
  const auto need = [&](bool there, const char* key) {
    if (!there) fields.refuse(key, "is missing (task type " + task.type + " needs it)");
  };
  const auto need_placeholder = [&](const Template& one, const char* key) {
    if (!one.has_placeholder()) fields.refuse(key, "has no {{field}}, so every row would be the same");
  };
  if (task.type == "multiple_choice") {
    need(!task.answer.empty(), "answer");
    if (task.contexts.empty())
      need(task.choices.has_value(), "choices");
    else
      need(task.target.has_value(), "target");
  }
  const auto only = [&](std::set<std::string> keys, const std::string& why) {
    keys.insert({"task", "type", "data"});
    for (const auto& entry : fields.node())
      if (const std::string key = entry.first.Scalar(); !keys.contains(key))
        fields.refuse(key, "is not read by task type " + task.type + why);
  };
  if (task.type == "requests") return only({"on_long"}, ": its rows are whole requests");
  if (ranks(task.type)) {
    need(!task.query.empty(), "query");
    need(!task.document.empty(), "document");
    need_placeholder(*compiled.query, "query");
    need_placeholder(*compiled.document, "document");
    return only({"query", "document", "metrics", "group"}, "");
  }
  if (task.type == "similarity") {
    need(!task.left.empty(), "left");
    need(!task.right.empty(), "right");
    need(!task.score.empty(), "score");
    for (const auto& [one, key] : {std::pair(compiled.left.get(), "left"), std::pair(compiled.right.get(), "right"),
                                   std::pair(compiled.score.get(), "score")})
      need_placeholder(*one, key);
    return only({"left", "right", "score", "metrics", "group"}, "");
  }
  if (task.type == "compress") {
    need(!task.contexts.empty(), "contexts");
    need(!task.question.empty(), "question");
    need_placeholder(*compiled.question, "question");
    return only({"contexts", "question", "target_tokens", "metrics", "group"}, "");
  }
  if (task.type == "loglikelihood" || task.type == "generate_until") need(task.target.has_value(), "target");
  if (task.type == "loglikelihood_rolling") {
    need(!task.text.empty(), "text");
    need_placeholder(*compiled.text, "text");
    return only({"text", "metrics", "group"}, ": its texts stand alone");
  }
  if (task.contexts.empty()) {
    need(!task.prompt.empty(), "prompt");
    need_placeholder(*compiled.prompt, "prompt");
  }
  std::set<std::string> read = {"description", "target_delimiter", "fewshot", "metrics", "group",
                                "on_long",     "gen_prefix",       "chat",    "clean"};
  if (task.type == "multiple_choice") {
    read.merge(std::set<std::string>{"answer", "labels"});
    read.merge(task.contexts.empty() ? std::set<std::string>{"prompt", "choices"}
                                     : std::set<std::string>{"contexts", "target"});
  } else {
    read.merge(std::set<std::string>{"prompt", "target"});
  }
  if (task.type == "generate_until") read.merge(std::set<std::string>{"filters", "generation"});
  only(read, "");
  if (task.fewshot.count > 0 && !task.data.contains(task.fewshot.split))
    fields.refuse("fewshot", "its split '" + task.fewshot.split + "' is not under data");
}

Task parse_task(YAML::Node node, const std::string& file, const std::string& name) {
  YamlFields fields(node, file, "task");
  Task task;
  task.file = file;
  task.name = name.empty() ? fields.required_name("task") : name;
  (void)fields.required_text("task");
  task.type = fields.required_text("type");
  const TaskType& type = find_task_type(task.type, fields.where(fields.find("type")));
  if (fields.find("data").IsDefined() && fields.find("data").IsScalar() && !ranks(task.type))
    task.data["test"] = data_files(fields, "data", file);
  else
    read_data(fields.map("data", "data"), task, file);
  task.description = fields.text("description", "");
  task.prompt = fields.text("prompt", "");
  task.choices = template_list(fields, "choices");
  task.labels = template_list(fields, "labels");
  task.contexts = fields.texts("contexts");
  task.answer = fields.text("answer", "");
  task.target = template_list(fields, "target");
  task.text = fields.text("text", "");
  task.query = fields.text("query", "");
  task.document = fields.text("document", "");
  task.left = fields.text("left", "");
  task.right = fields.text("right", "");
  task.score = fields.text("score", "");
  task.question = fields.text("question", "");
  task.target_tokens = fields.whole("target_tokens", task.target_tokens, 1);
  task.target_delimiter = fields.text("target_delimiter", task.target_delimiter);
  task.fewshot = read_fewshot(fields.map("fewshot", "fewshot"));
  task.metrics = read_metrics(fields, type);
  task.filters = read_filters(fields);
  task.generation = read_generation(fields.map("generation", "generation"));
  for (const Metric& metric : task.metrics)
    if (const auto over = repeat_metric(metric.name);
        over && over->k > static_cast<std::size_t>(task.generation.repeats))
      fields.refuse("metrics", "'" + metric.name + "' needs " + std::to_string(over->k) +
                                   " texts of a document; generation.repeats is " +
                                   std::to_string(task.generation.repeats));
  task.group = fields.text("group", "");
  task.gen_prefix = fields.text("gen_prefix", "");
  task.clean = read_clean(fields);
  YamlFields chat = fields.map("chat", "chat");
  task.chat = read_chat(chat);
  chat.finish();
  const std::string on_long = fields.text("on_long", "truncate");
  if (on_long != "truncate" && on_long != "fail")
    fields.refuse("on_long", "expected truncate or fail, found '" + on_long + "'");
  task.on_long = on_long == "fail" ? OnLong::fail : OnLong::truncate;
  fields.finish();
  check_task(fields, task);
  return task;
}

}  // namespace

Task read_task(const std::string& path, const std::string& name, const Changes& changes) {
  YAML::Node node = load_yaml(path);
  for (const auto& [key, value] : changes) set_yaml_path(node, key, value, path + ": set " + key);
  return parse_task(node, path, name);
}

}  // namespace proctor
