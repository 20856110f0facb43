#include "orchestrator/run/leftovers.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "orchestrator/scoring/scoreboard.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

/// Through links lie files of other folders.
bool lies_behind_a_link(const fs::path& root, const fs::path& name) {
  fs::path path = root;
  std::error_code none;
  for (const auto& part : name)
    if (fs::is_symlink(path /= part, none)) return true;
  return false;
}

std::set<fs::path> files_of(const RunDirectory& directory, const Work& work) {
  std::set<fs::path> files;
  for (const Cell& cell : work.cells) {
    if (task_type_of(work.suite.tasks[cell.task.value]).is_scored())
      files.insert(directory.results(work.suite.modules[cell.module.value].name));
    files.insert(answers_file(directory, work.suite, cell));
  }
  return files;
}

/// Of results/MODULE.json, samples/MODULE/TASK.jsonl, responses/MODULE/TASK.jsonl; "" of any other.
std::string module_of(const fs::path& name) {
  const std::string folder = name.begin()->string();
  if (folder == "results") return name.stem().string();
  return folder == "samples" || folder == "responses" ? name.parent_path().filename().string() : "";
}

}  // namespace

std::vector<std::string> remove_leftovers(const RunDirectory& directory, const Work& work, RunStore& store,
                                          GoneModules gone) {
  const std::set<fs::path> wanted = files_of(directory, work);
  std::set<std::string> kept;
  for (const auto& [name, payload] : store.all(kWrittenFile)) {
    const fs::path path = directory.root() / name;
    const std::string module = module_of(name);
    std::error_code none;
    if (module.empty() || wanted.contains(path) || lies_behind_a_link(directory.root(), name) ||
        !fs::is_regular_file(path, none))
      continue;
    const bool there = std::ranges::any_of(work.suite.modules, [&](const Module& one) { return one.name == module; });
    if (there || gone == GoneModules::remove)
      fs::remove(path, none);
    else
      kept.insert(module);
  }
  return {kept.begin(), kept.end()};
}

}  // namespace proctor
