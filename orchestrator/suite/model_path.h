// Where a module's folder is: a path beside the suite, or org/name[@revision] in the Hugging Face cache. Nothing is
// downloaded; the error prints the command that would.
#pragma once

#include <string>

namespace proctor {

/// Throws InputError. `file`: the one that names the path, which is relative to its folder; `where`: the place in it.
std::string resolve_model_path(const std::string& path, const std::string& file, const std::string& where);

}  // namespace proctor
