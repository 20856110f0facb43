// Which keys of the JSON files beside config.json decide something here, and which do not (docs/compatibility.md says
// the same, and a test compares). config.json's own are the family's (families.cc, config_reader.cc). Includes no
// torch.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace proctor {

struct KnownKeys {
  std::string file;            ///< its name, in a model's folder
  std::set<std::string> read;  ///< followed, or refused for a value that is not
  std::set<std::string> idle;  ///< known to decide nothing that is computed here
};

const std::vector<KnownKeys>& known_keys();

/// Keys that are neither, by name; none where `json` is no object. `file`: one of known_keys().
std::vector<std::string> unknown_keys(const nlohmann::json& json, const std::string& file);

/// Of files in which any other key may change every number. Throws InputError; `path` is named.
void refuse_unknown_keys(const nlohmann::json& json, const std::string& file, const std::string& path);

}  // namespace proctor
