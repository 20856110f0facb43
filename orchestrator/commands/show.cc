#include "orchestrator/commands/show.h"

#include <ostream>

#include "orchestrator/report/ledger_view.h"
#include "orchestrator/report/module_table.h"
#include "orchestrator/report/run_files.h"
#include "orchestrator/report/timeline.h"
#include "orchestrator/scoring/results_table.h"
#include "orchestrator/store/run_directory.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

void show_ledger(const RunFiles& run, std::ostream& out) {
  const std::vector<LedgerLine> lines = run.ledger();
  out << ledger_summary(lines) << ledger_table(lines);
}

void show_timeline(const RunFiles& run, const ShowOptions& options, std::ostream& out) {
  const Timeline timeline = run_timeline(run.directory().root().string(), run.ledger(), run.turns());
  if (!options.trace.empty()) write_output(options.trace, timeline_trace(timeline));
  if (!options.svg.empty()) write_output(options.svg, timeline_svg(timeline));
  if (options.timeline) out << timeline_text(timeline);
}

void show_status(const RunFiles& run, std::ostream& out) {
  const Json& status = run.status();
  out << "state: " << run.state()
      << (status.value("exit_code", Json()).is_number() ? ", exit code " + status["exit_code"].dump() : "") << "\n";
  for (const auto& cell : status.value("pairs", Json::array()))
    out << "  " << cell.at("module").get<std::string>() << " / " << cell.at("task").get<std::string>() << ": "
        << cell.at("done") << " / " << cell.at("total")
        << (cell.value("waits", false) ? " (waits for the answers that it reads; about so many)" : "") << "\n";
  const Json chosen = status.value("chosen", Json::object());
  for (const auto& [task, module] : chosen.items())
    out << "  task " << task << " reads the answers of " << module.get<std::string>() << ", the best\n";
}

void show_across_modules(const RunFiles& run, const std::string& format, std::ostream& out) {
  out << module_table(run.read_results(), run.tasks(),
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
  const RunFiles run(options.directory);
  if (options.samples) return show_samples(*options.samples, out);
  if (!options.format.empty()) return show_across_modules(run, options.format, out);
  if (options.ledger) return show_ledger(run, out);
  if (options.timeline || !options.trace.empty() || !options.svg.empty()) return show_timeline(run, options, out);
  show_status(run, out);
  if (options.failures) {
    for (const auto& failure : run.status().value("failures", Json::array()))
      out << "failed: " << failure.get<std::string>() << "\n";
    const Json manifest = run.manifest();
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
  for (const fs::path& file : run.results()) out << "\n" << file.stem().string() << "\n" << table_of(file);
} catch (const Json::exception& error) {
  throw EnvironmentError(options.directory + ": a file is not as proctor writes it: " + error.what());
}

}  // namespace proctor
