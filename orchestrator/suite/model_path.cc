#include "orchestrator/suite/model_path.h"

#include <filesystem>

#include "orchestrator/suite/hub_cache.h"
#include "orchestrator/suite/yaml_fields.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

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
  const fs::path snapshot = hub_snapshot("models", name, at == std::string::npos ? "main" : path.substr(at + 1));
  if (fs::is_directory(snapshot, none)) return snapshot.string();
  throw InputError(where + ": '" + path + "' is neither a folder (" + local.string() +
                   ") nor in the Hugging Face cache (" + snapshot.string() +
                   "); proctor downloads nothing. To fetch it: huggingface-cli download " + name +
                   (at == std::string::npos ? "" : " --revision " + path.substr(at + 1)));
}

}  // namespace proctor
