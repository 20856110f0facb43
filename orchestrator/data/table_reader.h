// Rows of Parquet and Arrow files. What reads them is told by an interface: production asks Python (sidecar/).
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace proctor {

class TableReader {
 public:
  virtual ~TableReader() = default;
  /// Gives every row of `path`, in order. Bytes are left out, but in the columns of `pictures`, where they come as
  /// {"bytes": base64}. Throws InputError for what is wrong with the file, EnvironmentError where nothing here can read
  /// such files.
  virtual void read(const std::string& path, const std::vector<std::string>& pictures,
                    const std::function<void(nlohmann::ordered_json row)>& take) = 0;
};

}  // namespace proctor
