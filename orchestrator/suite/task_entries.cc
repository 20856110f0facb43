#include "orchestrator/suite/task_entries.h"

#include <glob.h>

#include <algorithm>
#include <filesystem>

#include "orchestrator/suite/yaml_fields.h"
#include "orchestrator/suite/yaml_nodes.h"
#include "sharding/protocol/input_file.h"
#include "sharding/protocol/nearest_name.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

std::string without_patterns(const std::string& text) {
  std::string escaped;
  for (const char c : text)
    escaped += (std::string("*?[\\").find(c) == std::string::npos ? "" : "\\") + std::string(1, c);
  return escaped;
}

/// The file of this very path, else what matches it; the folders above both it and `file` are no patterns.
std::vector<std::string> expand_glob(const std::string& file, const std::string& path) {
  if (is_there(path)) return {path};
  const fs::path wanted(path), folder(path_beside(file, "."));
  const auto apart = std::mismatch(wanted.begin(), wanted.end(), folder.begin(), folder.end()).first;
  fs::path pattern;
  bool above = true;
  for (auto part = wanted.begin(); part != wanted.end(); ++part) {
    above = above && part != apart;
    pattern /= above ? fs::path(without_patterns(part->string())) : *part;
  }
  glob_t found{};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return paths;
}

void refuse_no_files(const std::string& where, const std::string& wanted, const std::vector<std::string>& paths) {
  if (paths.empty()) throw UsageError(where + ": task: " + wanted + ": no such file");
  for (const std::string& path : paths)
    if (const auto why = why_no_file(path)) throw UsageError(where + ": task: " + path + ": " + *why);
}

/// Reads one task with the changes of its entry and those of --set, which win. `entry`: for the resolved suite.
void add_task(const std::string& path, const std::string& name, const Changes& changes, TaskSettings& settings,
              std::vector<Task>& tasks, YAML::Node entry, YAML::Node& resolved) {
  Changes more;
  tasks.push_back(read_task(path, name, changes, [&](const std::string& task) { return more = settings.of(task); }));
  if (!more.empty() && entry.IsScalar()) entry = YAML::Node(YAML::NodeType::Map);
  for (const auto& [key, value] : more) entry["set"][key] = YAML::Load(value);
  if (entry.IsMap()) entry["path"] = path;
  resolved.push_back(entry);
}

}  // namespace

Changes TaskSettings::of(const std::string& task) {
  Changes changes;
  names_.insert(task);
  for (Setting& one : all_)
    if (one.path.starts_with(task + ".")) {
      one.used = true;
      changes.emplace_back(one.path.substr(task.size() + 1), one.value);
    }
  return changes;
}

void TaskSettings::refuse_unused() const {
  for (const Setting& one : all_) {
    if (one.used) continue;
    const std::string name = one.path.substr(0, one.path.find('.')), near = nearest(name, names_);
    throw UsageError("--set tasks." + one.path + ": no task is named '" + name + "'" +
                     (near.empty() ? "" : "; did you mean '" + near + "'?"));
  }
}

void read_task_entry(YAML::Node node, const std::string& file, TaskSettings& settings, std::vector<Task>& tasks,
                     YAML::Node& resolved) {
  if (node.IsScalar()) {
    const std::string wanted = path_beside(file, node.Scalar());
    const std::vector<std::string> paths = expand_glob(file, wanted);
    refuse_no_files(place_of(file, node.Mark()), wanted, paths);
    for (const std::string& path : paths) add_task(path, "", {}, settings, tasks, YAML::Node(path), resolved);
    return;
  }
  YamlFields fields(node, file, "task entry");
  const std::string wanted = path_beside(file, fields.required_text("path"));
  const std::vector<std::string> paths = expand_glob(file, wanted);
  refuse_no_files(place_of(file, node.Mark()), wanted, paths);
  const YAML::Node renamed = fields.find("name");
  const std::string name = renamed.IsDefined() && !renamed.IsNull() ? fields.required_name("name") : "";
  Changes changes;
  YamlFields set = fields.map("set", "set");
  for (const auto& entry : set.node()) {
    YAML::Emitter value;
    value << YAML::Flow << entry.second;
    changes.emplace_back(entry.first.Scalar(), value.c_str());
  }
  fields.finish();
  if (!name.empty() && paths.size() > 1)
    throw UsageError(place_of(file, node.Mark()) + ": task: " + std::to_string(paths.size()) + " files are meant by " +
                     wanted + ", and one name is given");
  for (const std::string& path : paths) add_task(path, name, changes, settings, tasks, unshared_copy(node), resolved);
}

}  // namespace proctor
