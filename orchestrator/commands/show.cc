#include "orchestrator/commands/show.h"

#include <algorithm>
#include <fstream>
#include <ostream>

#include "orchestrator/report/ledger_view.h"
#include "orchestrator/report/module_table.h"
#include "orchestrator/report/timeline.h"
#include "orchestrator/scoring/results_table.h"
#include "orchestrator/store/run_directory.h"
#include "orchestrator/store/run_lock.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"
#include "sharding/protocol/ledger_json.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Json read_json(const fs::path& path) {
  if (why_no_file(path.string())) return Json::value_t::discarded;
  std::ifstream stream(path);
  return Json::parse(stream, nullptr, /*allow_exceptions=*/false);
}

std::vector<Json> json_lines(const fs::path& path) {
  if (why_no_file(path.string())) return {};
  std::ifstream stream(path);
  std::vector<Json> rows;
  for (std::string line; std::getline(stream, line);)
    if (Json row = Json::parse(line, nullptr, false); row.is_object())
      rows.push_back(std::move(row));  // the last may be torn
  return rows;
}

std::vector<LedgerLine> ledger_of(const RunDirectory& directory) {
  std::vector<LedgerLine> lines;
  try {
    for (const Json& row : json_lines(directory.ledger())) lines.push_back(row.get<LedgerLine>());
  } catch (const std::exception& error) {
    throw EnvironmentError(directory.ledger().string() + ": a line is not as proctor writes it: " + error.what());
  }
  return lines;
}

void show_ledger(const RunDirectory& directory, std::ostream& out) {
  const std::vector<LedgerLine> lines = ledger_of(directory);
  out << ledger_summary(lines) << ledger_table(lines);
}

void show_timeline(const RunDirectory& directory, const ShowOptions& options, std::ostream& out) {
  const Timeline timeline =
      run_timeline(directory.root().string(), ledger_of(directory), json_lines(directory.turns()));
  if (!options.trace.empty()) write_output(options.trace, timeline_trace(timeline));
  if (!options.svg.empty()) write_output(options.svg, timeline_svg(timeline));
  if (options.timeline) out << timeline_text(timeline);
}

/// A process that was killed could not say so.
std::string state_of(const RunDirectory& directory, const Json& status) {
  const std::string state = status.value("state", "?");
  if (state != "running") return state;
  const auto owner = read_owner(directory);
  if (!owner) return "interrupted (it had no time to say so); the same command goes on from here";
  const std::string who = "pid " + std::to_string(owner->pid) + " on " + owner->host;
  if (const std::string why = dead_because(*owner, this_owner()); !why.empty())
    return "interrupted (" + who + ": " + why + "); the same command goes on from here";
  std::error_code none;
  const auto beaten = fs::last_write_time(directory.owner(), none);
  const auto quiet = std::chrono::duration_cast<std::chrono::seconds>(fs::file_time_type::clock::now() - beaten);
  if (!none && quiet > LockPatience().stale)
    return "running as it last said, " + std::to_string(quiet.count()) + " s ago (" + who + "); it is probably dead";
  return "running, " + who;
}

void show_status(const RunDirectory& directory, const Json& status, std::ostream& out) {
  out << "state: " << state_of(directory, status)
      << (status.value("exit_code", Json()).is_number() ? ", exit code " + status["exit_code"].dump() : "") << "\n";
  for (const auto& cell : status.value("pairs", Json::array()))
    out << "  " << cell.at("module").get<std::string>() << " / " << cell.at("task").get<std::string>() << ": "
        << cell.at("done") << " / " << cell.at("total")
        << (cell.value("waits", false) ? " (waits for the answers that it reads; about so many)" : "") << "\n";
  const Json chosen = status.value("chosen", Json::object());
  for (const auto& [task, module] : chosen.items())
    out << "  task " << task << " reads the answers of " << module.get<std::string>() << ", the best\n";
}

/// Names in the order in which status.json has them, once each: the suite's.
std::vector<std::string> in_order(const Json& status, const char* key) {
  std::vector<std::string> names;
  for (const auto& cell : status.value("pairs", Json::array()))
    if (const std::string name = cell.at(key).get<std::string>(); std::ranges::find(names, name) == names.end())
      names.push_back(name);
  return names;
}

/// In the suite's order; those of modules that it no longer has are last.
std::vector<fs::path> results_files(const RunDirectory& directory, const Json& status) {
  std::vector<fs::path> files;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(directory.root() / "results", none))
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  std::ranges::sort(files);
  const std::vector<std::string> order = in_order(status, "module");
  std::ranges::stable_sort(
      files, {}, [&](const fs::path& file) { return std::ranges::find(order, file.stem().string()) - order.begin(); });
  return files;
}

void show_across_modules(const RunDirectory& directory, const Json& status, const std::string& format,
                         std::ostream& out) {
  std::vector<std::pair<std::string, Json>> modules;
  for (const fs::path& file : results_files(directory, status))
    modules.emplace_back(file.stem().string(), read_json(file));
  out << module_table(modules, in_order(status, "task"),
                      format == "md"    ? TableFormat::markdown
                      : format == "csv" ? TableFormat::csv
                                        : TableFormat::latex);
}

std::string table_of(const fs::path& file) try {
  return results_table(read_json(file));
} catch (const Json::exception&) {
  return file.string() + ": is no results file of proctor's\n";
}

}  // namespace

void show(const ShowOptions& options, std::ostream& out) try {
  const RunDirectory directory(options.directory);
  const Json status = read_json(directory.status());
  if (!status.is_object())
    throw UsageError(directory.root().string() + ": no run directory (status.json is missing or not readable)");
  if (options.samples) return show_samples(*options.samples, out);
  if (!options.format.empty()) return show_across_modules(directory, status, options.format, out);
  if (options.ledger) return show_ledger(directory, out);
  if (options.timeline || !options.trace.empty() || !options.svg.empty()) return show_timeline(directory, options, out);
  show_status(directory, status, out);
  if (options.failures) {
    for (const auto& failure : status.value("failures", Json::array()))
      out << "failed: " << failure.get<std::string>() << "\n";
    const Json manifest = read_json(directory.manifest());
    if (!manifest.is_object()) return;
    for (const auto& shard : manifest.value("shards_not_run_as_planned", Json::array())) {
      out << "shard " << shard.at("shard") << " of " << shard.at("module").get<std::string>() << " / "
          << shard.at("task").get<std::string>() << ": halved " << shard.at("halved")
          << " times, batches run request by request " << shard.at("isolated_batches").dump() << "\n";
      for (const auto& [request, why] : shard.at("set_aside_requests").items())
        out << "  request " << request << " set aside: " << why.get<std::string>() << "\n";
    }
    for (const auto& event : manifest.value("events", Json::array()))
      out << "event: " << event.get<std::string>() << "\n";
    return;
  }
  for (const fs::path& file : results_files(directory, status))
    out << "\n" << file.stem().string() << "\n" << table_of(file);
} catch (const Json::exception& error) {
  throw EnvironmentError(options.directory + ": a file is not as proctor writes it: " + error.what());
}

}  // namespace proctor
