#include "orchestrator/show.h"

#include <algorithm>
#include <fstream>
#include <ostream>

#include "orchestrator/ledger_view.h"
#include "orchestrator/results.h"
#include "orchestrator/run_directory.h"
#include "sharding/error.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Json read_json(const fs::path& path) {
  std::ifstream stream(path);
  return Json::parse(stream, nullptr, /*allow_exceptions=*/false);
}

void show_ledger(const RunDirectory& directory, std::ostream& out) {
  std::ifstream stream(directory.ledger());
  std::vector<Json> rows;
  for (std::string line; std::getline(stream, line);)
    if (Json row = Json::parse(line, nullptr, false); row.is_object())
      rows.push_back(std::move(row));  // the last may be torn
  out << ledger_summary(rows) << ledger_table(rows);
}

void show_status(const Json& status, std::ostream& out) {
  out << "state: " << status.value("state", "?")
      << (status["exit_code"].is_number() ? ", exit code " + status["exit_code"].dump() : "") << "\n";
  for (const auto& pair : status.value("pairs", Json::array()))
    out << "  " << pair["module"].get<std::string>() << " / " << pair["task"].get<std::string>() << ": " << pair["done"]
        << " / " << pair["total"] << "\n";
}

}  // namespace

void show(const ShowOptions& options, std::ostream& out) {
  const RunDirectory directory(options.directory);
  const Json status = read_json(directory.status());
  if (!status.is_object())
    throw UsageError(directory.root().string() + ": no run directory (status.json is missing or not readable)");
  if (options.ledger) return show_ledger(directory, out);
  show_status(status, out);
  if (options.failures) {
    for (const auto& failure : status.value("failures", Json::array()))
      out << "failed: " << failure.get<std::string>() << "\n";
    const Json manifest = read_json(directory.manifest());
    if (manifest.is_object())
      for (const auto& event : manifest.value("events", Json::array()))
        out << "event: " << event.get<std::string>() << "\n";
    return;
  }
  std::vector<fs::path> files;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(directory.root() / "results", none))
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  std::ranges::sort(files);
  for (const fs::path& file : files) out << "\n" << file.stem().string() << "\n" << results_table(read_json(file));
}

}  // namespace proctor
