#include "orchestrator/suite/data_place.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "orchestrator/data/documents.h"
#include "orchestrator/suite/hub_cache.h"
#include "orchestrator/suite/yaml_fields.h"
#include "orchestrator/task_types/task_type.h"
#include "sharding/protocol/input_file.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Files = std::vector<std::string>;

DataPlace none(const std::string& why) { return {{}, why}; }

std::string listed(const std::set<std::string>& names) { return quoted_list({names.begin(), names.end()}); }

/// A JSON file's value; null where there is none that can be read.
nlohmann::json read_json(const fs::path& path) {
  if (why_no_file(path.string())) return nullptr;
  std::ifstream stream(path);
  return nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
}

/// A value that is a list of texts, or of objects that have `key`.
std::set<std::string> texts_in(const nlohmann::json& list, const char* key = nullptr) {
  std::set<std::string> texts;
  if (!list.is_array()) return texts;
  for (const nlohmann::json& one : list) {
    const nlohmann::json& text = key && one.is_object() && one.contains(key) ? one.at(key) : one;
    if (text.is_string()) texts.insert(text.get<std::string>());
  }
  return texts;
}

/// Of a folder that save_to_disk wrote: one split, or several.
DataPlace saved_folder(const fs::path& folder, const std::string& split) {
  const nlohmann::json several = read_json(folder / "dataset_dict.json");
  if (several.is_object()) {
    const std::set<std::string> splits = texts_in(several.value("splits", nlohmann::json()));
    if (split.empty())
      return none(folder.string() + ": holds several splits (" + listed(splits) + "); name one: FOLDER#split");
    if (!splits.contains(split))
      return none(folder.string() + ": has no split '" + split + "'; there are " + listed(splits));
    return saved_folder(folder / split, "");
  }
  const nlohmann::json state = read_json(folder / "state.json");
  if (!state.is_object())
    return none(
        folder.string() +
        ": is a folder, and none that datasets.save_to_disk wrote (state.json or dataset_dict.json would be in it)");
  if (!split.empty()) return none(folder.string() + ": holds one split, which has no name: leave out #" + split);
  DataPlace place;
  for (const std::string& name : texts_in(state.value("_data_files", nlohmann::json()), "filename")) {
    if (name.find('/') != std::string::npos) return none(folder.string() + "/state.json: names " + name);
    place.files.push_back((folder / name).string());
    if (!is_there(place.files.back())) return none(place.files.back() + ": is missing beside state.json");
  }
  return place.files.empty() ? none(folder.string() + "/state.json: names no data files") : place;
}

struct HubName {
  std::string name, config, split;
};

/// [org/]name[#config]#split
std::optional<HubName> hub_name(const std::string& text) {
  const auto first = text.find('#'), last = text.rfind('#');
  const std::string name = text.substr(0, first);
  if (first == std::string::npos || first == 0 || std::ranges::count(name, '/') > 1 || name.front() == '.' ||
      name.front() == '/' || name.front() == '~' || last + 1 == text.size())
    return std::nullopt;
  return HubName{name, first == last ? "" : text.substr(first + 1, last - first - 1), text.substr(last + 1)};
}

std::set<std::string> folders_in(const fs::path& folder) {
  std::set<std::string> names;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, none))
    if (entry.is_directory(none)) names.insert(entry.path().filename().string());
  return names;
}

/// As datasets writes a name in its cache: MathQA2Hard is math_qa2_hard.
std::string snake_case(const std::string& name) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(i < name.size() ? name[i] : 0); };
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool begins =
        i > 0 && std::isupper(at(i)) &&
        ((std::isupper(at(i - 1)) && std::islower(at(i + 1))) || std::islower(at(i - 1)) || std::isdigit(at(i - 1)));
    if (begins) out += '_';
    out += static_cast<char>(std::tolower(at(i)));
  }
  return out;
}

/// The files of a split that load_dataset prepared: <name>-<split>.arrow, or so many parts of it.
Files prepared_files(const fs::path& folder, const std::string& split) {
  Files files;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, none)) {
    const std::string stem = entry.path().stem().string();
    if (entry.path().extension() != ".arrow") continue;
    if (stem.ends_with("-" + split) || fnmatch(("*-" + split + "-[0-9]*-of-[0-9]*").c_str(), stem.c_str(), 0) == 0)
      files.push_back(entry.path().string());
  }
  std::ranges::sort(files);
  return files;
}

/// Below <cache>/<org>___<name>/<config>/<version>/<hash>: of several the one that was made last.
DataPlace in_datasets_cache(const HubName& wanted) {
  const auto slash = wanted.name.find('/');
  const std::string owner = slash == std::string::npos ? "" : wanted.name.substr(0, slash) + "___";
  const fs::path root = datasets_cache() / (owner + snake_case(wanted.name.substr(slash + 1)));
  const std::set<std::string> configs = folders_in(root);
  if (configs.empty()) return none("");
  if (wanted.config.empty() && configs.size() > 1 && !configs.contains("default"))
    return none(root.string() + ": holds several configurations (" + listed(configs) + "); name one: " + wanted.name +
                "#config#" + wanted.split);
  const std::string config = !wanted.config.empty() ? wanted.config
                             : configs.size() == 1  ? *configs.begin()
                                                    : std::string("default");
  DataPlace place;
  fs::file_time_type newest = fs::file_time_type::min();
  for (const std::string& version : folders_in(root / config))
    for (const std::string& hash : folders_in(root / config / version)) {
      Files files = prepared_files(root / config / version / hash, wanted.split);
      std::error_code error;
      const fs::file_time_type made = files.empty() ? newest : fs::last_write_time(files.front(), error);
      if (files.empty() || made < newest) continue;
      newest = made;
      place.files = std::move(files);
    }
  return place;
}

/// A word of a path: between its ends, slashes, dots, hyphens and underscores, as datasets looks for splits.
bool has_word(const std::string& path, const std::string& word) {
  const auto is_edge = [&](std::size_t at) {
    return at >= path.size() || std::string("/.-_ ").find(path[at]) != std::string::npos;
  };
  for (auto at = path.find(word); at != std::string::npos; at = path.find(word, at + 1))
    if ((at == 0 || is_edge(at - 1)) && is_edge(at + word.size())) return true;
  return false;
}

constexpr std::array<const char*, 8> kSplits = {"train", "training", "validation", "valid",
                                                "dev",   "test",     "testing",    "eval"};

/// A folder of a path, or its file's name up to the first dot or hyphen behind it.
bool has_part(const std::string& path, const std::string& name) {
  return std::ranges::any_of(fs::path(path), [&](const fs::path& part) {
    const std::string text = part.string();
    return text == name || text.starts_with(name + ".") || text.starts_with(name + "-");
  });
}

/// Patterns of a split's files, as the README's header names them (configs: data_files); none where it says nothing.
std::vector<std::string> patterns_of(const fs::path& readme, const HubName& wanted) {
  std::ifstream stream(readme);
  std::string line, text;
  if (!std::getline(stream, line) || !line.starts_with("---")) return {};
  while (std::getline(stream, line) && !line.starts_with("---")) text += line + "\n";
  std::vector<std::string> patterns;
  try {
    const YAML::Node configs = YAML::Load(text)["configs"];
    for (const auto& config : configs) {
      const std::string name = config["config_name"].as<std::string>("default");
      const bool is_default = configs.size() == 1 || name == "default" || config["default"].as<bool>(false);
      if (wanted.config.empty() ? !is_default : name != wanted.config) continue;
      for (const auto& files : config["data_files"]) {
        if (!files.IsMap() || files["split"].as<std::string>("") != wanted.split) continue;
        const YAML::Node path = files["path"];
        if (path.IsScalar()) patterns.push_back(path.Scalar());
        for (const auto& one : path) patterns.push_back(one.as<std::string>(""));
      }
    }
  } catch (const YAML::Exception&) {
    return {};
  }
  return patterns;
}

DataPlace in_hub_cache(const HubName& wanted, const fs::path& snapshot) {
  const std::vector<std::string> patterns = patterns_of(snapshot / "README.md", wanted);
  DataPlace place;
  Files unnamed;  // without a split's word in any of them, datasets takes all as train
  bool names_splits = false;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(snapshot, error)) {
    const std::string path = fs::relative(entry.path(), snapshot, error).string();
    if (!is_named_as_rows(path)) continue;
    if (!patterns.empty()) {
      const auto fits = [&](const std::string& one) { return fnmatch(one.c_str(), path.c_str(), 0) == 0; };
      if (std::ranges::any_of(patterns, fits)) place.files.push_back(entry.path().string());
      continue;
    }
    if (!wanted.config.empty() && !has_part(path, wanted.config)) continue;
    names_splits = names_splits || std::ranges::any_of(kSplits, [&](const char* one) { return has_word(path, one); });
    if (has_word(path, wanted.split)) place.files.push_back(entry.path().string());
    unnamed.push_back(entry.path().string());
  }
  if (place.files.empty() && !names_splits && wanted.split == "train") place.files = std::move(unnamed);
  std::ranges::sort(place.files);
  return place;
}

DataPlace in_caches(const HubName& wanted, const std::string& local) {
  DataPlace place = in_datasets_cache(wanted);
  if (!place.files.empty() || !place.why_none.empty()) return place;
  const fs::path snapshot = hub_snapshot("datasets", wanted.name, "main");
  place = in_hub_cache(wanted, snapshot);
  if (!place.files.empty()) return place;
  return none("'" + wanted.name + "', split '" + wanted.split + "': is neither a folder (" + local +
              ") nor in the Hugging Face caches (" + datasets_cache().string() + ", " + snapshot.string() +
              "); proctor downloads nothing. To fetch it: huggingface-cli download --repo-type dataset " + wanted.name);
}

}  // namespace

DataPlace find_data(const std::string& text, const std::string& yaml) {
  const std::string whole = path_beside(yaml, text);
  std::error_code error;
  if (fs::is_regular_file(whole, error) && !why_no_file(whole)) return {{whole}, ""};
  if (fs::is_directory(whole, error)) return saved_folder(whole, "");
  const auto hash = text.rfind('#');
  const std::string folder = hash == std::string::npos ? whole : path_beside(yaml, text.substr(0, hash));
  if (hash != std::string::npos && fs::is_directory(folder, error)) return saved_folder(folder, text.substr(hash + 1));
  if (hash != std::string::npos && fs::is_regular_file(folder, error))
    return none(folder + ": is a file, which has no splits: leave out " + text.substr(hash));
  if (const auto why = why_no_file(whole)) return none(whole + ": " + *why);
  if (const auto name = hub_name(text)) return in_caches(*name, folder);
  return none(whole + ": no such data file");
}

}  // namespace proctor
