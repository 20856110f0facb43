#include "orchestrator/sidecar/sidecar_tables.h"

#include <utility>

namespace proctor {
namespace {

constexpr std::chrono::seconds kDeadline{60};  // for some rows

}  // namespace

void SidecarTables::read(const std::string& path, const std::vector<std::string>& pictures,
                         const std::function<void(nlohmann::ordered_json row)>& take) {
  (void)sidecar_.ask({{"table", path}, {"pictures", pictures}}, path, kDeadline);
  for (;;) {
    Sidecar::Json answer = sidecar_.ask({{"rows", true}}, path, kDeadline);
    Sidecar::Json& rows = answer.at("rows");
    if (rows.empty()) return;
    for (Sidecar::Json& row : rows) take(std::move(row));
  }
}

}  // namespace proctor
