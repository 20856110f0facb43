#include "orchestrator/show.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <ostream>

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
  double load = 0, run = 0, teardown = 0;
  std::uint64_t peak = 0;
  char text[320];
  std::snprintf(text, sizeof text, "%5s  %-24s %-8s %-9s %8s %9s %9s %11s %8s %8s\n", "visit", "module", "worker",
                "verdict", "load s", "run s", "teardown", "peak MiB", "left B", "batches");
  out << text;
  for (std::string line; std::getline(stream, line);) {
    const Json row = Json::parse(line, nullptr, false);
    if (!row.is_object()) continue;  // a torn last line of a run that was killed
    std::snprintf(text, sizeof text, "%5u  %-24s %-8s %-9s %8.2f %9.2f %9.3f %11.1f %8lld %8llu  %s\n",
                  row["visit"].get<unsigned>(), row["module"].get<std::string>().c_str(),
                  row["worker"].get<std::string>().c_str(), row["verdict"].get<std::string>().c_str(),
                  row["load_s"].get<double>(), row["run_s"].get<double>(), row["teardown_s"].get<double>(),
                  row["allocated_peak"].get<double>() / (1 << 20),
                  static_cast<long long>(row["allocated_after"].get<std::int64_t>() -
                                         row["allocated_before"].get<std::int64_t>()),
                  static_cast<unsigned long long>(row["batches"].get<std::uint64_t>()),
                  row["reason"].get<std::string>().c_str());
    out << text;
    load += row["load_s"].get<double>();
    run += row["run_s"].get<double>();
    teardown += row["teardown_s"].get<double>();
    peak = std::max(peak, row["allocated_peak"].get<std::uint64_t>());
  }
  std::snprintf(text, sizeof text,
                "total: load %.2f s, run %.2f s, teardown %.3f s (%.2f %% of the run); peak %.1f MiB\n", load, run,
                teardown, run > 0 ? 100 * teardown / run : 0.0, static_cast<double>(peak) / (1 << 20));
  out << text;
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
