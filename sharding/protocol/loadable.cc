#include "sharding/protocol/loadable.h"

#include <filesystem>

namespace proctor {

std::string module_path(const std::string& file) {
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const std::filesystem::path installed = here.parent_path() / "lib" / "proctor" / file;
  return std::filesystem::exists(installed) ? installed.string() : (here / file).string();
}

}  // namespace proctor
