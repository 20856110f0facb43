#include "orchestrator/suite/task_file.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "orchestrator/metrics/repeats.h"
#include "orchestrator/metrics/verdicts.h"
#include "orchestrator/suite/data_place.h"
#include "orchestrator/suite/task_keys.h"
#include "orchestrator/suite/upstream_keys.h"

namespace proctor {
namespace {

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

/// lm-eval's `metadata`, or its version alone.
nlohmann::json read_metadata(YamlFields& fields) {
  nlohmann::json metadata = json_of(fields.map("metadata", "metadata").node());
  if (fields.has("version")) {
    if (metadata.contains("version")) fields.refuse("version", "metadata has it already");
    metadata["version"] = json_of(fields.find("version"));
  }
  const nlohmann::json version = metadata.value("version", nlohmann::json(""));
  if (!version.is_number() && !version.is_string())
    fields.refuse(fields.has("version") ? "version" : "metadata", "expected a number or a text as version");
  return metadata;
}

/// `fields`: those of `data`, or the task's where `data` names a file.
void read_split(YamlFields& fields, const std::string& key, const std::string& split, Task& task) {
  const std::string name = fields.required_text(key);
  DataPlace place = find_data(name, task.file);
  if (!place.why_none.empty()) fields.refuse(key, place.why_none);
  task.data[split] = std::move(place.files);
  task.data_names[split] = name;
}

/// Types whose data are queries, a corpus and qrels.
bool ranks(const Task& task) { return task_type_of(task).ranks_passages(); }

bool has_candidates(const Task& task) { return task_type_of(task).candidates() != TaskType::Candidates::none; }

/// Types that are asked with rankings alone, which no file holds.
bool sees_rankings_alone(const Task& task) { return task.type == "fuse" || task.type == "filter"; }

/// What stands for a file of the task's data: the split that another task's answers are.
const char* split_of_answers(const Task& task) { return task_type_of(task).split_of_answers(); }

void read_data(YamlFields fields, Task& task) {
  for (const auto& entry : fields.node()) {
    const std::string split = entry.first.Scalar();
    if (!entry.second.IsMap()) {
      read_split(fields, split, split, task);
      continue;
    }
    if (split != split_of_answers(task))
      fields.refuse(split, "expected a file's name; only `" + std::string(split_of_answers(task)) +
                               "` can be another task's answers");
    task.upstream = read_upstream(fields.map(split, split));
  }
  std::vector<std::string> needed = {"test"};
  if (ranks(task)) needed = {"corpus", "queries", "qrels"};
  if (has_candidates(task)) needed.push_back("candidates");
  for (const std::string& split : needed)
    if (!task.data.contains(split) && !(task.upstream && split == split_of_answers(task)))
      throw UsageError(fields.where(fields.node()) + ": task " + task.name + ": data: '" + split + "' is missing");
  for (const auto& [name, files] : task.data)
    if (ranks(task) && std::ranges::find(needed, name) == needed.end())
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
    if (task.type != "requests") keys.insert({"metadata", "version"});
    for (const auto& entry : fields.node())
      if (const std::string key = entry.first.Scalar(); !keys.contains(key))
        fields.refuse(key, "is not read by task type " + task.type + why);
  };
  if (task.type == "requests") return only({"on_long", "image"}, ": its rows are whole requests");
  if (ranks(task)) {
    need(!task.document.empty(), "document");
    need_placeholder(*compiled.document, "document");
    if (sees_rankings_alone(task))
      return only({"document", "metrics", "group"}, ": its modules see rankings, not texts");
    need(!task.query.empty(), "query");
    need_placeholder(*compiled.query, "query");
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
  if (task.type == "loglikelihood" || (task.type == "generate_until" && !task.upstream))
    need(task.target.has_value(), "target");
  if (task.type == "loglikelihood_rolling") {
    need(!task.text.empty(), "text");
    need_placeholder(*compiled.text, "text");
    return only({"text", "metrics", "group"}, ": its texts stand alone");
  }
  if (task.contexts.empty()) {
    need(!task.prompt.empty(), "prompt");
    need_placeholder(*compiled.prompt, "prompt");
  }
  std::set<std::string> read = {"description", "target_delimiter", "fewshot",    "metrics",
                                "group",       "on_long",          "gen_prefix", "chat",
                                "clean",       "images",           "image"};
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

/// What tasks over answers cannot have, or need.
void check_upstream(YamlFields& fields, const Task& task) {
  if (sees_rankings_alone(task) && !task.upstream)
    fields.refuse("data", "candidates of task type " + task.type + " are another task's answers: {answers: TASK, ...}");
  if (!task.upstream) return;
  const bool several = task.upstream->of == Upstream::Of::several;
  if (several != (task_type_of(task).candidates() == TaskType::Candidates::several))
    fields.refuse("data", several ? "of: reads one module's answers; several are read by task type fuse"
                                  : "of: fuse reads the rankings of several modules, of: [a, b]");
  if (task.data.contains("test")) fields.refuse("data", "has a file as test, and contexts are another task's answers");
  for (const char* type : {"requests", "similarity"})
    if (task.type == type) fields.refuse("data", "task type " + task.type + " cannot read another task's answers");
  if (task.images) fields.refuse("images", "is not read by tasks over answers");
  if (task.fewshot.count > 0 && task.fewshot.split == "test")
    fields.refuse("fewshot", "examples cannot be another task's answers; name another split of data");
  if (task.type == "generate_until" && !task.target)
    for (const Metric& metric : task.metrics)
      if (metric.name != "number" && !is_verdict(metric.name) && metric.code.empty())
        fields.refuse("target", "is missing (metric " + metric.name + " compares with it)");
  const bool pair = task.upstream->of == Upstream::Of::pair;
  if (pair && task.type != "generate_until")
    fields.refuse("data", "pair is read by generate_until, which says which answer is better");
  for (const Metric& metric : task.metrics)
    if (is_verdict(metric.name) && (!pair || task.generation.repeats > 1))
      fields.refuse("metrics", "'" + metric.name +
                                   "' is of two modules' answers (data: {test: {answers: ..., pair: [a, " +
                                   "b]}}), asked once in each order");
}

Task parse_task(YAML::Node node, const std::string& file, const std::string& name) {
  YamlFields fields(node, file, "task");
  Task task;
  task.file = file;
  task.name = name.empty() ? fields.required_name("task") : name;
  (void)fields.required_text("task");
  task.type = fields.required_text("type");
  const TaskType& type = find_task_type(task.type, fields.where(fields.find("type")));
  if (const YAML::Node contexts = fields.find("contexts"); contexts.IsDefined() && contexts.IsMap())
    task.upstream = read_upstream(fields.map("contexts", "contexts"));
  const bool of_contexts = task.upstream.has_value();
  if (fields.find("data").IsDefined() && fields.find("data").IsScalar() && !ranks(task))
    read_split(fields, "data", "test", task);
  else if (!of_contexts || fields.has("data"))
    read_data(fields.map("data", "data"), task);
  task.description = fields.text("description", "");
  task.prompt = fields.text("prompt", "");
  task.choices = template_list(fields, "choices");
  task.labels = template_list(fields, "labels");
  task.contexts = of_contexts ? std::vector<std::string>{"{{answer.passages}}"} : fields.texts("contexts");
  task.answer = fields.text("answer", "");
  task.target = template_list(fields, "target");
  task.images = template_list(fields, "images");
  task.image = read_image_options(fields.map("image", "image"));
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
  task.metadata = read_metadata(fields);
  task.gen_prefix = fields.text("gen_prefix", "");
  task.clean = read_clean(fields);
  YamlFields chat = fields.map("chat", "chat");
  task.chat = read_chat(chat);
  chat.finish();
  const std::string on_long = fields.text("on_long", task.images ? "fail" : "truncate");
  if (on_long != "truncate" && on_long != "fail")
    fields.refuse("on_long", "expected truncate or fail, found '" + on_long + "'");
  if (on_long == "truncate" && task.images)
    fields.refuse("on_long", "what is cut off could be an image; leave it out, or say fail");
  if (fields.has("image") && !task.images && task.type != "requests")
    fields.refuse("image", "does nothing without `images`");
  task.on_long = on_long == "fail" ? OnLong::fail : OnLong::truncate;
  fields.finish();
  check_upstream(fields, task);
  check_task(fields, task);
  return task;
}

}  // namespace

Task read_task(const std::string& path, const std::string& name, const Changes& changes,
               const std::function<Changes(const std::string& task)>& more) {
  YAML::Node node = load_yaml(path);
  Changes all = changes;
  if (more) {
    const bool names_itself = node.IsMap() && node["task"].IsDefined() && node["task"].IsScalar();
    std::ranges::move(more(name.empty() && names_itself ? node["task"].Scalar() : name), std::back_inserter(all));
  }
  for (const auto& [key, value] : all) set_yaml_path(node, key, value, path + ": set " + key);
  return parse_task(node, path, name);
}

}  // namespace proctor
