// What is read to its end: an ordinary file. A pipe may never be written and a device never end, so that neither is
// opened.
#pragma once

#include <optional>
#include <string>

namespace proctor {

/// Why a path cannot be read as a file: "is a folder", "is a pipe", "Too many levels of symbolic links"; nothing where
/// it can, or where there is nothing of that name.
std::optional<std::string> why_no_file(const std::string& path);

}  // namespace proctor
