// The pictures that samples were asked about, in the page: of each file once, as a data: URL among the packed parts.
#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "orchestrator/page/blobs.h"

namespace proctor {

class PageImages {
 public:
  explicit PageImages(Blobs& blobs) : blobs_(blobs) {}
  /// Those of a sample's line; `run`: the run directory, which paths may be relative to. A file that is not there any
  /// more, no picture that browsers show, or too large for the page is named only.
  void add(const nlohmann::ordered_json& line, const std::filesystem::path& run);
  /// Hash -> blob.
  const nlohmann::ordered_json& parts() const { return parts_; }

 private:
  Blobs& blobs_;
  std::size_t bytes_ = 0;
  nlohmann::ordered_json parts_ = nlohmann::ordered_json::object();
};

}  // namespace proctor
