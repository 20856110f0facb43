#include "orchestrator/suite_file.h"

#include <glob.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "orchestrator/model_path.h"
#include "orchestrator/scoring/text_metrics.h"
#include "orchestrator/task_types/task_type.h"
#include "orchestrator/yaml_fields.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Changes = std::vector<std::pair<std::string, std::string>>;

nlohmann::json to_json(const YAML::Node& node) {
  if (node.IsMap()) {
    nlohmann::json json = nlohmann::json::object();
    for (const auto& entry : node) json[entry.first.Scalar()] = to_json(entry.second);
    return json;
  }
  if (node.IsSequence()) {
    nlohmann::json json = nlohmann::json::array();
    for (const auto& item : node) json.push_back(to_json(item));
    return json;
  }
  if (node.IsNull()) return nullptr;
  bool flag = false;
  std::int64_t whole = 0;
  double number = 0;
  if (node.Tag() != "!" && YAML::convert<bool>::decode(node, flag)) return flag;
  if (node.Tag() != "!" && YAML::convert<std::int64_t>::decode(node, whole)) return whole;
  if (node.Tag() != "!" && YAML::convert<double>::decode(node, number)) return number;
  return node.Scalar();
}

/// Sets "fewshot.count" below `node`; a step into a list of named maps goes by name (modules.NAME).
void set_path(YAML::Node node, const std::string& path, const std::string& value, const std::string& where) {
  const auto dot = path.find('.');
  const std::string key = path.substr(0, dot);
  if (node.IsSequence()) {
    for (YAML::Node item : node)
      if (item.IsMap() && item["name"].IsDefined() && item["name"].Scalar() == key && dot != std::string::npos)
        return set_path(item, path.substr(dot + 1), value, where);
    throw UsageError(where + ": nothing here is named '" + key + "'");
  }
  if (!node.IsMap()) throw UsageError(where + ": '" + key + "' lies below a value that is no map");
  if (dot == std::string::npos) {
    try {
      node[key] = YAML::Load(value);
    } catch (const YAML::Exception&) {
      throw UsageError(where + ": '" + value + "' is not a YAML value");
    }
    return;
  }
  if (!node[key].IsDefined()) node[key] = YAML::Node(YAML::NodeType::Map);
  set_path(node[key], path.substr(dot + 1), value, where);
}

std::string beside(const std::string& file, const std::string& path) {
  const fs::path given(path);
  return fs::absolute(given.is_absolute() ? given : fs::path(file).parent_path() / given).lexically_normal().string();
}

// ---- task files

std::optional<TemplateList> template_list(YamlFields& fields, const std::string& key) {
  const YAML::Node node = fields.find(key);
  if (!node.IsDefined() || node.IsNull()) return std::nullopt;
  if (node.IsScalar()) return TemplateList(node.Scalar());
  return TemplateList(fields.texts(key));
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
  fields.finish();
  return out;
}

std::vector<Metric> read_metrics(YamlFields& fields, const TaskType& type) {
  std::vector<Metric> metrics;
  const YAML::Node node = fields.find("metrics");
  if (node.IsDefined() && !node.IsSequence()) fields.refuse("metrics", "expected a list");
  if (node.IsDefined())
    for (const auto& item : node) {
      Metric metric;
      if (item.IsMap() && item.size() == 1) {
        metric.name = item.begin()->first.Scalar();
        metric.options = to_json(item.begin()->second);
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
    if (std::ranges::find(known, metric.name) == known.end())
      fields.refuse("metrics",
                    "'" + metric.name + "' is no metric of this task type (its metrics: " + quoted_list(known) + ")");
    if (metric.name == "exact_match")
      check_exact_match_options(metric.options, fields.file());
    else if (!metric.options.empty())
      fields.refuse("metrics", "'" + metric.name + "' takes no options");
  }
  return metrics;
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
      nlohmann::json options = to_json(YamlFields(step, fields.file(), "filter step").node());
      FilterStep one{options.value("function", std::string()), std::move(options)};
      one.options.erase("function");
      pipeline.steps.push_back(std::move(one));
    }
    entry.finish();
    check_filter(pipeline, fields.where(item));
    filters.push_back(std::move(pipeline));
  }
  return filters;
}

Generation read_generation(YamlFields fields) {
  Generation out;
  if (fields.has("until")) out.until = fields.texts("until");
  out.max_gen_toks = fields.whole("max_gen_toks", out.max_gen_toks, 1);
  fields.finish();
  return out;
}

void read_data(YamlFields fields, Task& task, const std::string& file) {
  for (const auto& entry : fields.node()) {
    const std::string split = entry.first.Scalar(), path = fields.required_text(split), full = beside(file, path);
    if (!fs::is_regular_file(full)) fields.refuse(split, full + ": no such data file");
    task.data[split] = full;
  }
  if (!task.data.contains("test"))
    throw UsageError(fields.where(fields.node()) + ": task " + task.name + ": data: the split 'test' is missing");
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
  if (task.type == "loglikelihood" || task.type == "generate_until") need(task.target.has_value(), "target");
  if (task.type == "loglikelihood_rolling") {
    need(!task.text.empty(), "text");
    if (task.fewshot.count > 0) fields.refuse("fewshot", "a rolling task has no examples");
    return need_placeholder(*compiled.text, "text");
  }
  if (task.contexts.empty()) {
    need(!task.prompt.empty(), "prompt");
    need_placeholder(*compiled.prompt, "prompt");
  }
  if (task.fewshot.count > 0 && !task.data.contains(task.fewshot.split))
    fields.refuse("fewshot", "its split '" + task.fewshot.split + "' is not under data");
}

Task parse_task(YAML::Node node, const std::string& file, const std::string& name) {
  YamlFields fields(node, file, "task");
  Task task;
  task.file = file;
  const std::string own = fields.required_text("task");
  task.name = name.empty() ? own : name;
  task.type = fields.required_text("type");
  const TaskType& type = find_task_type(task.type, fields.where(fields.find("type")));
  read_data(fields.map("data", "data"), task, file);
  task.description = fields.text("description", "");
  task.prompt = fields.text("prompt", "");
  task.choices = template_list(fields, "choices");
  task.contexts = fields.texts("contexts");
  task.answer = fields.text("answer", "");
  task.target = template_list(fields, "target");
  task.text = fields.text("text", "");
  task.target_delimiter = fields.text("target_delimiter", task.target_delimiter);
  task.fewshot = read_fewshot(fields.map("fewshot", "fewshot"));
  task.metrics = read_metrics(fields, type);
  task.filters = read_filters(fields);
  task.generation = read_generation(fields.map("generation", "generation"));
  task.group = fields.text("group", "");
  const std::string on_long = fields.text("on_long", "truncate");
  if (on_long != "truncate" && on_long != "fail")
    fields.refuse("on_long", "expected truncate or fail, found '" + on_long + "'");
  task.fail_on_long = on_long == "fail";
  fields.finish();
  check_task(fields, task);
  return task;
}

// ---- suite

Module read_module(YAML::Node node, const std::string& file) {
  YamlFields fields(node, file, "module");
  Module module;
  module.name = fields.required_text("name");
  if (module.name.find_first_of("/\\ ") != std::string::npos || module.name[0] == '.')
    fields.refuse("name", "'" + module.name + "' cannot name a file (no blanks, no slashes)");
  module.kind = fields.text("kind", module.kind);
  request_types_of_kind(module.kind, fields.where(node));
  const std::string path = fields.required_text("path");
  module.path = resolve_model_path(path, fs::path(file).parent_path().string(), fields.where(fields.find("path")));
  const std::string dtype = fields.text("dtype", "auto");
  const auto known = dtype_from(dtype);
  if (!known) fields.refuse("dtype", "expected auto, float32, bfloat16 or float16, found '" + dtype + "'");
  module.dtype = *known;
  module.tensor_parallel = static_cast<std::uint32_t>(fields.whole("tensor_parallel", 1, 1));
  if (module.tensor_parallel > 1) fields.refuse("tensor_parallel", "gangs wider than 1 are not built yet");
  if (fields.has("max_batch_tokens")) module.max_batch_tokens = fields.whole("max_batch_tokens", 0, 1);
  if (fields.has("max_length")) module.max_length = fields.whole("max_length", 0, 2);
  if (fields.has("add_bos_token")) module.add_bos_token = fields.get<bool>("add_bos_token", false, "true or false");
  if (fields.has("chat_template")) fields.refuse("chat_template", "not yet, use the lm-eval bridge");
  if (fields.has("tasks")) module.tasks = fields.texts("tasks");
  fields.finish();
  return module;
}

std::vector<std::string> expand_glob(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return paths;
}

/// A path, a glob, or {path, name, set}. `resolved` is rewritten with absolute paths.
void read_task_entry(YAML::Node node, const std::string& file, std::vector<Task>& tasks, YAML::Node& resolved) {
  if (node.IsScalar()) {
    const std::string pattern = beside(file, node.Scalar());
    const std::vector<std::string> paths = expand_glob(pattern);
    if (paths.empty())
      throw UsageError(file + ":" + std::to_string(node.Mark().line + 1) + ":" +
                       std::to_string(node.Mark().column + 1) + ": task: " + pattern + ": no such file");
    for (const std::string& path : paths) {
      tasks.push_back(read_task(path, "", {}));
      resolved.push_back(path);
    }
    return;
  }
  YamlFields fields(node, file, "task entry");
  const std::string path = beside(file, fields.required_text("path")), name = fields.text("name", "");
  Changes changes;
  YamlFields set = fields.map("set", "set");
  for (const auto& entry : set.node()) {
    YAML::Emitter value;
    value << YAML::Flow << entry.second;
    changes.emplace_back(entry.first.Scalar(), value.c_str());
  }
  fields.finish();
  tasks.push_back(read_task(path, name, changes));
  YAML::Node copy = YAML::Clone(node);
  copy["path"] = path;
  resolved.push_back(copy);
}

Cleanup read_cleanup(YamlFields fields) {
  Cleanup out;
  const YAML::Node batch = fields.find("batch");
  if (batch.IsMap()) {
    YamlFields every(batch, fields.file(), "cleanup");
    out.policy = Cleanup::Policy::every;
    out.every = static_cast<std::uint32_t>(every.whole("every", 1, 1));
    every.finish();
  } else {
    const std::string name = fields.text("batch", "watermark");
    const std::pair<const char*, Cleanup::Policy> known[] = {{"never", Cleanup::Policy::never},
                                                             {"on_oom", Cleanup::Policy::on_oom},
                                                             {"watermark", Cleanup::Policy::watermark},
                                                             {"always", Cleanup::Policy::always}};
    const auto found = std::ranges::find_if(known, [&](const auto& row) { return name == row.first; });
    if (found == std::end(known))
      fields.refuse("batch", "expected never, on_oom, watermark, always or {every: N}, found '" + name + "'");
    out.policy = found->second;
  }
  out.watermark = fields.get<double>("watermark", out.watermark, "a share between 0 and 1");
  if (!(out.watermark >= 0 && out.watermark <= 1)) fields.refuse("watermark", "expected a share between 0 and 1");
  out.leak_tolerance_bytes = fields.bytes("leak_tolerance", out.leak_tolerance_bytes);
  fields.finish();
  return out;
}

Machine read_machine(YamlFields fields) {
  Machine out;
  if (fields.text("workers", "auto") != "auto") out.workers = static_cast<std::uint32_t>(fields.whole("workers", 1, 1));
  out.cpu_threads = static_cast<std::uint32_t>(fields.whole("cpu_threads", 1, 1));
  fields.finish();
  return out;
}

Deadlines read_deadlines(YamlFields fields) {
  Deadlines out;
  out.load = fields.seconds("load", out.load);
  out.progress = fields.seconds("progress", out.progress);
  out.teardown = fields.seconds("teardown", out.teardown);
  out.agent = fields.seconds("agent", out.agent);
  out.restart = fields.seconds("restart", out.restart);
  out.drain = fields.seconds("drain", out.drain);
  fields.finish();
  return out;
}

template <class Item>
void refuse_twice(const std::vector<Item>& items, const std::string& file, const char* what) {
  for (std::size_t i = 0; i < items.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (items[i].name == items[j].name)
        throw UsageError(file + ": two " + std::string(what) + " are named '" + items[i].name +
                         "'; give one another name");
}

/// Every task a module names exists, and its kind can answer it.
void check_pairs(const Suite& suite, const std::string& file) {
  for (const Module& module : suite.modules) {
    const auto& types = request_types_of_kind(module.kind, file);
    for (const std::string& name : module.tasks.value_or(std::vector<std::string>{})) {
      std::set<std::string> names;
      for (const Task& task : suite.tasks) names.insert(task.name);
      const auto task = std::ranges::find_if(suite.tasks, [&](const Task& t) { return t.name == name; });
      const std::string near = nearest(name, names);
      if (task == suite.tasks.end())
        throw UsageError(file + ": module " + module.name + ": no task is named '" + name + "'" +
                         (near.empty() ? "" : "; did you mean '" + near + "'?"));
      if (std::ranges::find(types, task_type_of(*task).request_type()) == types.end())
        throw UsageError(file + ": module " + module.name + " of kind " + module.kind + " cannot answer task " + name +
                         " of type " + task->type);
    }
  }
}

}  // namespace

const std::vector<std::string>& request_types_of_kind(const std::string& kind, const std::string& where) {
  static const std::map<std::string, std::vector<std::string>> table = {
      {"generator", {"loglikelihood", "loglikelihood_rolling", "generate_until"}}};
  const auto found = table.find(kind);
  if (found == table.end()) throw UsageError(where + ": kind '" + kind + "' is not known (known: generator)");
  return found->second;
}

Task read_task(const std::string& path, const std::string& name, const Changes& changes) {
  YAML::Node node = load_yaml(path);
  for (const auto& [key, value] : changes) set_path(node, key, value, path + ": set " + key);
  return parse_task(node, path, name);
}

SuiteFile read_suite(const std::string& given, const std::vector<std::string>& settings) {
  const std::string path = fs::absolute(given).lexically_normal().string();
  YAML::Node node = load_yaml(given);
  if (!node.IsMap()) throw UsageError(given + ":1:1: a suite is a map with the keys suite, modules and tasks");
  for (const std::string& setting : settings) {
    const auto equals = setting.find('=');
    if (equals == std::string::npos || equals == 0)
      throw UsageError("--set " + setting + ": expected KEY=VALUE, such as modules.NAME.dtype=bfloat16");
    set_path(node, setting.substr(0, equals), setting.substr(equals + 1), "--set " + setting.substr(0, equals));
  }
  SuiteFile out;
  Suite& suite = out.suite;
  YAML::Node resolved = YAML::Clone(node), tasks(YAML::NodeType::Sequence);
  YamlFields fields(node, path, "suite");
  suite.name = fields.required_text("suite");
  if (suite.name.find_first_of("/\\ ") != std::string::npos || suite.name[0] == '.')
    fields.refuse("suite", "'" + suite.name + "' cannot name a folder (no blanks, no slashes)");
  suite.seed = static_cast<std::uint64_t>(fields.whole("seed", 1234, 0));
  for (const char* key : {"modules", "tasks"}) {
    const YAML::Node list = fields.find(key);
    if (!list.IsDefined() || !list.IsSequence() || list.size() == 0)
      fields.refuse(key, "expected a list with at least one entry");
  }
  for (const auto& item : fields.find("modules")) suite.modules.push_back(read_module(item, path));
  for (const auto& item : fields.find("tasks")) read_task_entry(item, path, suite.tasks, tasks);
  suite.machine = read_machine(fields.map("machine", "machine"));
  suite.cleanup = read_cleanup(fields.map("cleanup", "cleanup"));
  suite.deadlines = read_deadlines(fields.map("deadlines", "deadlines"));
  fields.finish();
  refuse_twice(suite.modules, path, "modules");
  refuse_twice(suite.tasks, path, "tasks");
  check_pairs(suite, path);
  resolved["tasks"] = tasks;
  for (std::size_t i = 0; i < suite.modules.size(); ++i) resolved["modules"][i]["path"] = suite.modules[i].path;
  YAML::Emitter emitter;
  emitter << resolved;
  out.resolved = std::string(emitter.c_str()) + "\n";
  return out;
}

}  // namespace proctor
