#include "orchestrator/base/cache_folder.h"

#include <cstdlib>

namespace proctor {

std::filesystem::path cache_folder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache && *cache) return std::filesystem::path(cache) / "proctor";
  const char* home = std::getenv("HOME");
  return home && *home ? std::filesystem::path(home) / ".cache" / "proctor" : std::filesystem::path();
}

}  // namespace proctor
