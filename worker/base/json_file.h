// JSON from a file that nobody vouches for: bounded depth (a deep one would overflow the stack), readable errors.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace proctor {

/// Throws InputError naming the file: not readable, not JSON, nested deeper than 64.
nlohmann::json read_json_file(const std::string& path);

}  // namespace proctor
