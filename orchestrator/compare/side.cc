#include "orchestrator/compare/side.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"
#include "sharding/protocol/nearest_name.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Json read_json(const fs::path& path) {
  std::ifstream stream(path);
  Json json = Json::parse(stream, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw EnvironmentError(path.string() + ": is no results file");
  return json;
}

std::string listed(const std::set<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

std::set<std::string> modules_of(const fs::path& run) {
  std::set<std::string> modules;
  std::error_code none;
  for (const auto& file : fs::directory_iterator(run / "results", none))
    if (file.path().extension() == ".json") modules.insert(file.path().stem().string());
  return modules;
}

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

/// Of each group the tasks, also those of groups within it.
std::map<std::string, std::set<std::string>> groups_of(const Json& results) {
  std::map<std::string, std::set<std::string>> groups;
  const Json listed = results.value("group_subtasks", Json::object());
  const std::function<void(const std::string&, std::set<std::string>&, std::set<std::string>&)> add =
      [&](const std::string& group, std::set<std::string>& tasks, std::set<std::string>& above) {
        if (!above.insert(group).second) return;
        for (const Json& part : listed.value(group, Json::array())) {
          const std::string name = text_of(part);
          if (listed.value(name, Json::array()).empty())
            tasks.insert(name);
          else
            add(name, tasks, above);
        }
      };
  for (const auto& [group, parts] : listed.items())
    if (std::set<std::string> above; !parts.empty()) add(group, groups[group], above);
  return groups;
}

/// What a document of this line counts as one of; "" without a field.
std::string cluster_of(const Json& line, const std::string& field, const std::string& where) {
  if (field.empty()) return "";
  const Json document = line.value("doc", Json::object());
  const auto found = document.find(field);
  if (found == document.end()) throw InputError(where + ": --cluster " + field + ": the document has no such field");
  return text_of(*found);
}

}  // namespace

Side Side::of_run(const std::string& name) {
  fs::path run = name;
  std::string module;
  if (const auto colon = name.rfind(':'); !fs::exists(run) && colon != std::string::npos)
    run = name.substr(0, colon), module = name.substr(colon + 1);
  if (!fs::is_regular_file(run / "run.db")) throw UsageError(run.string() + ": is no run directory (it has no run.db)");
  const std::set<std::string> modules = modules_of(run);
  if (modules.empty()) throw UsageError(run.string() + ": has no results yet");
  if (module.empty() && modules.size() > 1)
    throw UsageError(run.string() + ": has several modules; name one, as " + run.string() + ":" + *modules.begin() +
                     " (there are " + listed(modules) + ")");
  if (module.empty()) module = *modules.begin();
  if (!modules.contains(module)) {
    const std::string near = nearest(module, modules);
    throw UsageError(run.string() + ": has no module '" + module + "'" +
                     (near.empty() ? "; there are " + listed(modules) : "; did you mean '" + near + "'?"));
  }
  Side side;
  side.name_ = run.string() + ":" + module;
  const Json results = read_json(run / "results" / (module + ".json"));
  for (const auto& [task, values] : results.at("results").items()) {
    const fs::path file = run / "samples" / module / (task + ".jsonl");
    if (fs::is_regular_file(file)) side.files_[task] = file;
    for (const auto& [key, value] : values.items())
      if (const auto comma = key.rfind(','); comma != std::string::npos && !key.substr(0, comma).ends_with("_stderr"))
        side.metrics_[task].insert(key.substr(0, comma));
  }
  side.groups_ = groups_of(results);
  const Json higher = results.value("higher_is_better", Json::object());
  for (const auto& [task, metrics] : higher.items())
    for (const auto& [metric, is_better] : metrics.items())
      if (is_better.is_boolean()) side.better_[{task, metric}] = is_better.get<bool>();
  return side;
}

Side Side::of_lm_eval(const fs::path& folder) {
  Side side;
  side.name_ = folder.string();
  std::error_code none;
  std::set<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder, none))
    if (entry.path().extension() == ".jsonl" && entry.path().filename().string().starts_with("samples_"))
      files.insert(entry.path());
  for (const fs::path& file : files) {  // in the order of their dates, so that the latest stays
    const std::string stem = file.stem().string().substr(std::string("samples_").size());
    if (const auto date = stem.rfind('_'); date != std::string::npos) side.files_[stem.substr(0, date)] = file;
  }
  if (side.files_.empty())
    throw UsageError("--against-lm-eval " + folder.string() +
                     ": has no samples_TASK_DATE.jsonl; lm-eval writes them with --log_samples");
  return side;
}

std::set<std::string> Side::tasks() const {
  std::set<std::string> names;
  for (const auto& [task, file] : files_) names.insert(task);
  return names;
}

const std::set<std::string>& Side::metrics(const std::string& task) const {
  static const std::set<std::string> none;
  const auto found = metrics_.find(task);
  return found == metrics_.end() ? none : found->second;
}

bool Side::higher_is_better(const std::string& task, const std::string& metric) const {
  const auto found = better_.find({task, metric});
  return found == better_.end() || found->second;
}

std::map<TaskKey, std::vector<SideDocument>> Side::values(const std::string& task, const std::string& cluster) const {
  const fs::path& path = files_.at(task);
  if (const auto why = why_no_file(path.string())) throw EnvironmentError(path.string() + ": " + *why);
  std::map<TaskKey, std::vector<SideDocument>> all;
  std::map<std::string, std::map<std::string, std::size_t>> seen;  // of a filter
  std::ifstream stream(path);
  std::size_t number = 0;
  for (std::string text; std::getline(stream, text);) {
    const std::string where = path.string() + ":" + std::to_string(++number);
    const Json line = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!line.is_object() || !line.contains("doc_hash")) throw EnvironmentError(where + ": is no sample");
    const std::string filter = line.value("filter", "none"), hash = text_of(line["doc_hash"]);
    const std::string key = hash + "/" + std::to_string(seen[filter][hash]++);
    std::set<std::string> names = metrics_.contains(task) ? metrics_.at(task) : std::set<std::string>();
    for (const Json& name : line.value("metrics", Json::array())) names.insert(text_of(name));
    for (const std::string& metric : names) {
      const auto found = line.find(metric);
      if (found != line.end() && found->is_array()) continue;  // it counts in a sum over the corpus alone
      std::optional<double> value;
      if (found != line.end() && found->is_number()) value = found->get<double>();
      all[{task, metric, filter}].push_back({key, value, cluster_of(line, cluster, where)});
    }
  }
  std::erase_if(all, [](const auto& one) {
    return std::ranges::none_of(one.second, [](const SideDocument& document) { return document.value.has_value(); });
  });
  return all;
}

}  // namespace proctor
