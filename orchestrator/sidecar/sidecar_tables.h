// Reads Parquet and Arrow files by Python's pyarrow (sidecar.h).
#pragma once

#include "orchestrator/data/table_reader.h"
#include "orchestrator/sidecar/sidecar.h"

namespace proctor {

class SidecarTables final : public TableReader {
 public:
  /// The sidecar outlives this.
  explicit SidecarTables(LazySidecar& sidecar) : sidecar_(sidecar) {}
  void read(const std::string& path, const std::vector<std::string>& pictures,
            const std::function<void(nlohmann::ordered_json row)>& take) override;

 private:
  LazySidecar& sidecar_;
};

}  // namespace proctor
