// Where a module's folder is: a path beside the suite, or org/name[@revision] in the Hugging Face cache. Nothing is
// downloaded; the error prints the command that would.
#pragma once

#include <string>

namespace proctor {

/// Throws InputError. `base`: the folder that relative paths are relative to; `where` names file and line.
std::string resolve_model_path(const std::string& path, const std::string& base, const std::string& where);

}  // namespace proctor
