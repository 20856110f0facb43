#include "orchestrator/suite/model_path.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

fs::path hub_cache() {
  if (const auto cache = environment("HF_HUB_CACHE"); !cache.empty()) return cache;
  if (const auto home = environment("HF_HOME"); !home.empty()) return fs::path(home) / "hub";
  if (const auto cache = environment("XDG_CACHE_HOME"); !cache.empty()) return fs::path(cache) / "huggingface/hub";
  return fs::path(environment("HOME")) / ".cache/huggingface/hub";
}

bool looks_like_hub_name(const std::string& path) {
  const auto slash = path.find('/');
  return slash != std::string::npos && slash > 0 && path.find('/', slash + 1) == std::string::npos && path[0] != '.' &&
         path[0] != '/';
}

}  // namespace

std::string resolve_model_path(const std::string& path, const std::string& base, const std::string& where) {
  const fs::path local = fs::path(path).is_absolute() ? fs::path(path) : fs::path(base) / path;
  std::error_code none;  // a link to itself is no folder
  if (fs::is_directory(local, none)) return fs::canonical(local).string();
  if (!looks_like_hub_name(path)) throw InputError(where + ": " + local.string() + ": no such model folder");
  const auto at = path.find('@');
  const std::string name = path.substr(0, at);
  std::string revision = at == std::string::npos ? "main" : path.substr(at + 1), folder = "models--" + name;
  folder.replace(folder.find('/'), 1, "--");
  const fs::path repository = hub_cache() / folder;
  if (std::ifstream stream(repository / "refs" / revision); stream) std::getline(stream, revision);
  const fs::path snapshot = repository / "snapshots" / revision;
  if (fs::is_directory(snapshot, none)) return snapshot.string();
  throw InputError(where + ": '" + path + "' is neither a folder (" + local.string() +
                   ") nor in the Hugging Face cache (" + snapshot.string() +
                   "); proctor downloads nothing. To fetch it: huggingface-cli download " + name +
                   (at == std::string::npos ? "" : " --revision " + path.substr(at + 1)));
}

}  // namespace proctor
