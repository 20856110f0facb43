#include "orchestrator/report/run_files.h"

#include <algorithm>
#include <chrono>
#include <fstream>

#include "orchestrator/store/run_lock.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"
#include "sharding/protocol/ledger_json.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::vector<Json> json_lines(const fs::path& path) {
  if (why_no_file(path.string())) return {};
  std::ifstream stream(path);
  std::vector<Json> rows;
  for (std::string line; std::getline(stream, line);)
    if (Json row = Json::parse(line, nullptr, false); row.is_object())
      rows.push_back(std::move(row));  // the last may be torn
  return rows;
}

void add_answered(std::vector<AnsweredFile>& files, const fs::path& folder, bool scored) {
  const auto first = static_cast<std::ptrdiff_t>(files.size());
  std::error_code none;
  for (const auto& module : fs::directory_iterator(folder, none))
    for (const auto& file : fs::directory_iterator(module.path(), none))
      if (file.path().extension() == ".jsonl")
        files.push_back({module.path().filename().string(), file.path().stem().string(), file.path(), scored});
  std::ranges::sort(files.begin() + first, files.end(), {}, &AnsweredFile::path);
}

}  // namespace

Json read_json(const fs::path& path) {
  if (why_no_file(path.string())) return Json::value_t::discarded;
  std::ifstream stream(path);
  return Json::parse(stream, nullptr, /*allow_exceptions=*/false);
}

RunFiles::RunFiles(const fs::path& folder) : directory_(folder), status_(read_json(directory_.status())) {
  if (!status_.is_object())
    throw UsageError(directory_.root().string() + ": no run directory (status.json is missing or not readable)");
}

std::string RunFiles::state() const {
  const std::string state = status_.value("state", "?");
  if (state != "running") return state;
  const auto owner = read_owner(directory_);
  if (!owner) return "interrupted (it had no time to say so); the same command goes on from here";
  const std::string who = "pid " + std::to_string(owner->pid) + " on " + owner->host;
  if (const std::string why = dead_because(*owner, this_owner()); !why.empty())
    return "interrupted (" + who + ": " + why + "); the same command goes on from here";
  std::error_code none;
  const auto beaten = fs::last_write_time(directory_.owner(), none);
  const auto quiet = std::chrono::duration_cast<std::chrono::seconds>(fs::file_time_type::clock::now() - beaten);
  if (!none && quiet > LockPatience().stale)
    return "running as it last said, " + std::to_string(quiet.count()) + " s ago (" + who + "); it is probably dead";
  return "running, " + who;
}

std::vector<std::string> RunFiles::names_of(const char* key) const {
  std::vector<std::string> names;
  for (const auto& cell : status_.value("pairs", Json::array()))
    if (const std::string name = cell.at(key).get<std::string>(); std::ranges::find(names, name) == names.end())
      names.push_back(name);
  return names;
}

std::vector<fs::path> RunFiles::results() const {
  std::vector<fs::path> files;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(directory_.root() / "results", none))
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  std::ranges::sort(files);
  const std::vector<std::string> order = modules();
  std::ranges::stable_sort(
      files, {}, [&](const fs::path& file) { return std::ranges::find(order, file.stem().string()) - order.begin(); });
  return files;
}

std::vector<std::pair<std::string, Json>> RunFiles::read_results() const {
  std::vector<std::pair<std::string, Json>> all;
  for (const fs::path& file : results()) all.emplace_back(file.stem().string(), read_json(file));
  return all;
}

std::vector<LedgerLine> RunFiles::ledger() const {
  std::vector<LedgerLine> lines;
  try {
    for (const Json& row : json_lines(directory_.ledger())) lines.push_back(row.get<LedgerLine>());
  } catch (const std::exception& error) {
    throw EnvironmentError(directory_.ledger().string() + ": a line is not as proctor writes it: " + error.what());
  }
  return lines;
}

std::vector<Json> RunFiles::turns() const { return json_lines(directory_.turns()); }

Json RunFiles::manifest() const { return read_json(directory_.manifest()); }

std::vector<AnsweredFile> RunFiles::answered() const {
  std::vector<AnsweredFile> files;
  add_answered(files, directory_.root() / "samples", true);
  add_answered(files, directory_.root() / "responses", false);
  return files;
}

}  // namespace proctor
