#include "orchestrator/suite/suite_file.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <string_view>

#include "orchestrator/metrics/hashes.h"
#include "orchestrator/retrievers/retriever.h"
#include "orchestrator/suite/chain_tasks.h"
#include "orchestrator/suite/model_path.h"
#include "orchestrator/suite/task_entries.h"
#include "orchestrator/suite/yaml_fields.h"
#include "orchestrator/suite/yaml_nodes.h"
#include "orchestrator/task_types/can_answer.h"
#include "orchestrator/task_types/task_type.h"
#include "sharding/protocol/gang_memory.h"
#include "sharding/protocol/input_file.h"
#include "sharding/protocol/nearest_name.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t kMostWorkers = 4096;  // of a node; threads of a worker too

/// The values are the kind's to judge (worker); names are judged here.
nlohmann::json read_options(YamlFields& fields, const KindRow& kind) {
  YamlFields map = fields.map("options", "options of kind " + kind.name);
  for (const std::string& name : kind.options) (void)map.find(name);
  map.finish();
  return json_of(map.node());
}

/// Of a kind without a model: rank 0 computes it, and reads its options.
void read_retriever(YamlFields& fields, const KindRow& kind, Module& module) {
  const YAML::Node node = fields.node();
  for (const char* key : {"path", "engine", "dtype", "tensor_parallel", "max_batch_tokens", "max_length",
                          "add_bos_token", "chat_template"})
    if (node[key].IsDefined()) fields.refuse(key, "is of modules with a model; kind " + kind.name + " has none");
  module.options = read_options(fields, kind);
  try {
    check_retriever(kind.name, module.options);
  } catch (const UsageError& error) {
    throw UsageError(fields.where(fields.has("options") ? fields.find("options") : fields.node()) + ": module " +
                     module.name + ": " + error.what());
  }
}

void read_tasks(YamlFields& fields, Module& module) {
  if (const YAML::Node tasks = fields.find("tasks"); tasks.IsDefined() && !tasks.IsNull())
    module.tasks = fields.texts("tasks");
  fields.finish();
}

Module read_module(YAML::Node node, const std::string& file, Chat& chat) {
  YamlFields fields(node, file, "module");
  Module module;
  module.name = fields.required_name("name");
  module.kind = fields.text("kind", module.kind);
  const KindRow& kind = find_kind_row(module.kind, fields.where(node));
  if (!kind.has_model()) {
    read_retriever(fields, kind, module);
    read_tasks(fields, module);
    return module;
  }
  module.engine = read_engine(fields);
  const std::string path = module.engine ? fields.text("path", "") : fields.required_text("path");
  if (!path.empty()) module.path = resolve_model_path(path, file, fields.where(fields.find("path")));
  const std::string dtype = fields.text("dtype", "auto");
  const auto known = dtype_from(dtype);
  if (!known) fields.refuse("dtype", "expected auto, float32, bfloat16 or float16, found '" + dtype + "'");
  module.dtype = *known;
  const std::int64_t members = fields.whole("tensor_parallel", 1, 1);
  if (members > kMaxGangMembers)
    fields.refuse("tensor_parallel", "a gang has at most " + std::to_string(kMaxGangMembers) + " members");
  module.tensor_parallel = static_cast<std::uint32_t>(members);
  if (fields.has("max_batch_tokens")) module.max_batch_tokens = fields.whole("max_batch_tokens", 0, 1);
  if (fields.has("max_length")) module.max_length = fields.whole("max_length", 0, 2);
  if (fields.has("add_bos_token")) module.add_bos_token = fields.get<bool>("add_bos_token", false, "true or false");
  chat = read_chat(fields);
  if (fields.has("image") && module.kind != "generator")
    fields.refuse("image", "is for generators; kind " + module.kind + " reads no images");
  if (chat.on() && module.kind != "generator")
    fields.refuse("chat_template", "is for generators; kind " + module.kind + " writes its own prompts");
  module.image = read_image_options(fields.map("image", "image"));
  if (fields.has("options") && module.engine)  // the engine's own to judge
    module.options = json_of(fields.map("options", "options of the engine").node());
  else if (fields.has("options"))
    module.options = read_options(fields, kind);
  read_tasks(fields, module);
  return module;
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
  if (fields.text("workers", "auto") != "auto")
    out.workers = static_cast<std::uint32_t>(fields.whole("workers", 1, 1, kMostWorkers));
  out.cpu_threads = static_cast<std::uint32_t>(fields.whole("cpu_threads", 1, 1, kMostWorkers));
  out.python = program_beside(fields, fields.text("python", ""));
  fields.finish();
  return out;
}

Deadlines read_deadlines(YamlFields fields) {
  Deadlines out;
  if (fields.has("load")) out.guest_load = out.load = fields.seconds("load", out.load);
  out.progress = fields.seconds("progress", out.progress);
  out.teardown = fields.seconds("teardown", out.teardown);
  out.agent = fields.seconds("agent", out.agent);
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

/// Modules without a task and tasks without a module: missing from the results, and not without a word.
std::vector<std::string> idle_ones(const Suite& suite) {
  std::vector<std::string> notes;
  for (const Module& module : suite.modules)
    if (std::ranges::none_of(suite.tasks, [&](const Task& task) { return can_answer(module, task); }))
      notes.push_back("module " + module.name + " of kind " + module.kind + " can answer none of the tasks");
  for (const Task& task : suite.tasks)
    if (std::ranges::none_of(suite.modules, [&](const Module& module) { return can_answer(module, task); }))
      notes.push_back("task " + task.name + " of type " + task.type + " is answered by none of the modules");
  return notes;
}

/// Every task a module names exists, and its kind can answer it.
void check_pairs(const Suite& suite, const std::string& file) {
  for (const Module& module : suite.modules) {
    const KindRow& kind = find_kind_row(module.kind, file);
    for (const std::string& name : module.tasks.value_or(std::vector<std::string>{})) {
      std::set<std::string> names;
      for (const Task& task : suite.tasks) names.insert(task.name);
      const auto task = std::ranges::find_if(suite.tasks, [&](const Task& t) { return t.name == name; });
      const std::string near = nearest(name, names);
      if (task == suite.tasks.end())
        throw UsageError(file + ": module " + module.name + ": no task is named '" + name + "'" +
                         (near.empty() ? "" : "; did you mean '" + near + "'?"));
      if (!can_answer(kind, *task))
        throw UsageError(file + ": module " + module.name + " of kind " + module.kind + " cannot answer task " + name +
                         " of type " + task->type);
    }
  }
}

/// A name for files and folders, of a path or glob.
std::string name_of(const std::string& path) {
  fs::path last(path);
  if (!last.has_filename()) last = last.parent_path();
  std::string name = last.extension() == ".yaml" || last.extension() == ".yml" ? last.stem() : last.filename();
  if (const auto revision = name.find('@'); revision != std::string::npos && revision > 0) name.resize(revision);
  for (char& c : name)
    if (static_cast<unsigned char>(c) <= ' ' || std::string_view("*?[]{}\\/").find(c) != std::string_view::npos)
      c = '_';
  return name;
}

/// The suite of --model and --tasks. Its name, and so its run directory, is that of its models and tasks.
YAML::Node suite_of(const SuiteSource& source) {
  constexpr std::size_t kLongestName = 100;
  YAML::Node suite;
  std::string name;
  for (const std::string& path : source.models) {
    YAML::Node module;
    module["name"] = name_of(path);
    module["path"] = path;
    if (!source.dtype.empty()) module["dtype"] = source.dtype;
    if (source.tensor_parallel) module["tensor_parallel"] = *source.tensor_parallel;
    suite["modules"].push_back(module);
    name += (name.empty() ? "" : "+") + name_of(path);
  }
  for (std::size_t t = 0; t < source.tasks.size(); ++t) {
    YAML::Node task;
    task["path"] = source.tasks[t];
    if (source.fewshot) task["set"]["fewshot.count"] = *source.fewshot;
    suite["tasks"].push_back(task);
    name += (t == 0 ? "-" : "+") + name_of(source.tasks[t]);
  }
  if (name.size() > kLongestName) {
    const std::string whole = xxh3_hex(name);
    name = name.substr(0, kLongestName) + "-" + whole.substr(0, 8);
  }
  suite["suite"] = name;
  return suite;
}

/// A system message and the like without a template, in the module or in every task that could bring one.
void refuse_idle_chat_keys(const Suite& suite, const std::string& file) {
  for (std::size_t m = 0; m < suite.modules.size(); ++m) {
    const Chat& chat = suite.chats[m];
    const bool tells = chat.system || chat.kwargs || chat.date;
    bool used = !tells;
    for (std::size_t t = 0; t < suite.tasks.size(); ++t) used = used || suite.chat_of(m, t).on();
    if (!used)
      throw UsageError(file + ": module " + suite.modules[m].name + ": " +
                       (chat.system   ? "system"
                        : chat.kwargs ? "chat_template_kwargs"
                                      : "chat_date") +
                       " does nothing without chat_template: true");
  }
}

}  // namespace

void set_chat_date(SuiteFile& file, const std::string& date) {
  YAML::Node resolved = YAML::Load(file.resolved);
  for (std::size_t m = 0; m < file.suite.chats.size(); ++m) {
    Chat& chat = file.suite.chats[m];
    if (chat.date) continue;
    chat.date = date;
    resolved["modules"][m]["chat_date"] = date;
  }
  YAML::Emitter emitter;
  emitter << resolved;
  file.resolved = std::string(emitter.c_str()) + "\n";
}

std::optional<std::string> chat_date_in(const std::string& path) try {
  std::error_code none;
  if (!fs::is_regular_file(path, none)) return std::nullopt;
  const YAML::Node suite = load_yaml(path);
  for (const auto& module : suite["modules"])
    if (module["chat_date"].IsDefined()) return module["chat_date"].Scalar();
  return std::nullopt;
} catch (const YAML::Exception&) {
  return std::nullopt;
} catch (const UsageError&) {
  return std::nullopt;
}

bool talks(const Suite& suite) {
  for (std::size_t m = 0; m < suite.modules.size(); ++m)
    for (std::size_t t = 0; t < suite.tasks.size(); ++t)
      if (suite.chat_of(m, t).on()) return true;
  return false;
}

SuiteFile read_suite(const SuiteSource& source, const std::vector<std::string>& settings) {
  const bool named = source.path.empty(), piped = source.path == "-";
  const std::string given = named ? "(command line)" : piped ? "(standard input)" : source.path;
  const std::string path = fs::absolute(given).lexically_normal().string();  // its folder is what paths are relative to
  YAML::Node node = named ? suite_of(source) : piped ? read_yaml(std::cin, given) : load_yaml(given);
  if (!node.IsMap()) throw UsageError(given + ":1:1: a suite is a map with the keys suite, modules and tasks");
  TaskSettings of_tasks;
  for (const std::string& setting : settings) {
    const auto equals = setting.find('=');
    if (equals == std::string::npos || equals == 0)
      throw UsageError("--set " + setting + ": expected KEY=VALUE, such as modules.NAME.dtype=bfloat16");
    const std::string key = setting.substr(0, equals), value = setting.substr(equals + 1);
    if (key.starts_with("tasks."))
      of_tasks.add(key.substr(6), value);
    else
      set_yaml_path(node, key, value, "--set " + key);
  }
  SuiteFile out;
  Suite& suite = out.suite;
  YAML::Node resolved = unshared_copy(node), tasks(YAML::NodeType::Sequence);
  YamlFields fields(node, path, "suite");
  suite.name = fields.required_name("suite");
  suite.seed = static_cast<std::uint64_t>(fields.whole("seed", 1234, 0));
  for (const char* key : {"modules", "tasks"}) {
    const YAML::Node list = fields.find(key);
    if (!list.IsDefined() || !list.IsSequence() || list.size() == 0)
      fields.refuse(key, "expected a list with at least one entry");
  }
  for (const auto& item : fields.find("modules"))
    suite.modules.push_back(read_module(item, path, suite.chats.emplace_back()));
  for (const auto& item : fields.find("tasks")) read_task_entry(item, path, of_tasks, suite.tasks, tasks);
  of_tasks.refuse_unused();
  suite.machine = read_machine(fields.map("machine", "machine"));
  suite.cleanup = read_cleanup(fields.map("cleanup", "cleanup"));
  suite.deadlines = read_deadlines(fields.map("deadlines", "deadlines"));
  fields.finish();
  refuse_twice(suite.modules, path, "modules");
  refuse_twice(suite.tasks, path, "tasks");
  for (const Task& task : suite.tasks)
    for (const Task& other : suite.tasks)
      if (!task.group.empty() && task.group == other.name)
        throw UsageError(path + ": group '" + task.group + "' of task " + task.name + " is also a task's name");
  check_pairs(suite, path);
  std::vector<std::string> notes = link_chains(suite);
  refuse_idle_chat_keys(suite, path);
  out.notes = idle_ones(suite);
  std::ranges::move(notes, std::back_inserter(out.notes));
  resolved["tasks"] = tasks;
  for (std::size_t i = 0; i < suite.modules.size(); ++i) {
    const Module& module = suite.modules[i];
    if (!module.path.empty()) resolved["modules"][i]["path"] = module.path;
    if (module.engine && module.engine->name.empty())
      resolved["modules"][i]["engine"]["command"] = module.engine->command;
  }
  YAML::Emitter emitter;
  emitter << resolved;
  out.resolved = std::string(emitter.c_str()) + "\n";
  return out;
}

}  // namespace proctor
