// Where proctor keeps what it learned on this machine: $XDG_CACHE_HOME/proctor, else ~/.cache/proctor.
#pragma once

#include <filesystem>

namespace proctor {

/// Empty where there is no home. It need not exist, nor be writable.
std::filesystem::path cache_folder();

}  // namespace proctor
