#include "orchestrator/suite/model_path.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "orchestrator/suite/yaml_fields.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"

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
         path[0] != '/' && path[0] != '~';
}

}  // namespace

std::string resolve_model_path(const std::string& path, const std::string& file, const std::string& where) {
  const fs::path local = path_beside(file, path);
  std::error_code error, none;  // a link to itself is no folder
  const bool found = fs::is_directory(local, error);
  if (const auto why = why_not_utf8(local.string()))
    throw InputError(where + ": the path of a model must be UTF-8: " + *why);
  if (found) return fs::canonical(local).string();
  if (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory)
    throw InputError(where + ": " + local.string() + ": " + error.message());
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
