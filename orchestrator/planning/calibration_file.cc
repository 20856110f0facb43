#include "orchestrator/planning/calibration_file.h"

#include <fstream>

#include "orchestrator/base/cache_folder.h"
#include "orchestrator/store/run_directory.h"
#include "sharding/planning/calibration_json.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/facts_json.h"

namespace proctor {
namespace {

nlohmann::json read(const std::filesystem::path& path) {
  std::ifstream stream(path);
  return nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
}

Calibration parse(const nlohmann::json& json, const std::string& key) try {
  return json.is_object() && json.contains(key) ? json[key].get<Calibration>() : Calibration{};
} catch (const nlohmann::json::exception&) {  // of another version
  return {};
}

}  // namespace

std::filesystem::path calibration_path() {
  const std::filesystem::path folder = cache_folder();
  return folder.empty() ? folder : folder / "calibration.json";
}

Calibration read_calibration(const std::filesystem::path& path, const std::string& device_kind) {
  return parse(read(path), device_kind);
}

bool learn_calibration(const std::filesystem::path& path, const std::string& device_kind, const Calibration& run) try {
  if (path.empty()) return false;
  std::filesystem::create_directories(path.parent_path());
  nlohmann::json all = read(path);
  if (!all.is_object()) all = nlohmann::json::object();
  Calibration known = parse(all, device_kind);
  known.learn(run);
  all[device_kind] = known;
  write_file(path, all.dump(2) + "\n");
  return true;
} catch (const std::exception&) {
  return false;
}

RunCalibration calibration_of_run(const std::filesystem::path& run_directory) {
  const std::filesystem::path path = RunDirectory(run_directory).manifest();
  const nlohmann::json manifest = read(path);
  if (!manifest.is_object() || !manifest.contains("measured"))
    throw UsageError(path.string() +
                     ": is missing, or of a run that measured nothing; --calibrated-by takes the "
                     "directory of a finished run");
  return {manifest.at("device").get<DeviceFacts>(), parse(manifest, "measured")};
}

}  // namespace proctor
