#include "orchestrator/suite/hub_cache.h"

#include <fstream>

#include "orchestrator/base/machine.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

fs::path home_of_both() {
  if (const auto home = variable("HF_HOME"); !home.empty()) return home;
  if (const auto cache = variable("XDG_CACHE_HOME"); !cache.empty()) return fs::path(cache) / "huggingface";
  return fs::path(variable("HOME")) / ".cache/huggingface";
}

}  // namespace

fs::path hub_snapshot(const std::string& kind, const std::string& name, std::string revision) {
  const std::string given = variable("HF_HUB_CACHE");
  std::string folder = kind + "--" + name;
  if (const auto slash = folder.find('/'); slash != std::string::npos) folder.replace(slash, 1, "--");
  const fs::path repository = (given.empty() ? home_of_both() / "hub" : fs::path(given)) / folder;
  if (std::ifstream stream(repository / "refs" / revision); stream) std::getline(stream, revision);
  return repository / "snapshots" / revision;
}

fs::path datasets_cache() {
  const std::string given = variable("HF_DATASETS_CACHE");
  return given.empty() ? home_of_both() / "datasets" : fs::path(given);
}

}  // namespace proctor
