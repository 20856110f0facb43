// Rows of Parquet and Arrow files. What reads them is told by an interface: production asks Python (sidecar/).
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

namespace proctor {

class TableReader {
 public:
  virtual ~TableReader() = default;
  /// Gives every row of `path`, in order. Throws InputError for what is wrong with the file, EnvironmentError where
  /// nothing here can read such files.
  virtual void read(const std::string& path, const std::function<void(nlohmann::ordered_json row)>& take) = 0;
};

}  // namespace proctor
