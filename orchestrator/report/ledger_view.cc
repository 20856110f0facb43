#include "orchestrator/report/ledger_view.h"

#include <algorithm>
#include <map>

#include "orchestrator/base/formatted.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

double seconds(const Json& row, const char* key) { return row.value(key, 0.0); }
double mebibytes(const Json& row, const char* key) { return row.value(key, 0.0) / (1 << 20); }

long long bytes_left(const Json& row) {
  return row.value("allocated_after", std::int64_t{0}) - row.value("allocated_before", std::int64_t{0});
}

std::string line(const Json& row) {
  const std::string reason = row.value("reason", "");
  const std::string member = std::to_string(row.value("member", 0)) + "/" + std::to_string(row.value("members", 1));
  return formatted("  %5lld  %-24s %-7s %-6s %-9s %7.2f %8.2f %10.3f %9.1f %8lld", row.value("visit", 0ll),
                   row.value("module", "?").c_str(), row.value("worker", "?").c_str(), member.c_str(),
                   row.value("verdict", "?").c_str(), seconds(row, "load_s"), seconds(row, "run_s"),
                   seconds(row, "teardown_s"), mebibytes(row, "allocated_peak"), bytes_left(row)) +
         (reason.empty() ? "" : "  " + reason) + "\n";
}

/// What all rows come to.
struct Totals {
  double load = 0, run = 0, teardown = 0, cleanup = 0, peak = 0;
  long long bytes_left = 0;
  std::uint64_t communicators = 0, graphs = 0, modules = 0, cleanups = 0, batches = 0;

  explicit Totals(const std::vector<Json>& rows) {
    for (const Json& row : rows) {
      load += seconds(row, "load_s");
      run += seconds(row, "run_s");
      teardown += seconds(row, "teardown_s");
      cleanup += seconds(row, "cleanup_s");
      peak = std::max(peak, mebibytes(row, "allocated_peak"));
      bytes_left += proctor::bytes_left(row);
      communicators += row.value("communicators_left", 0u);
      graphs += row.value("graphs_left", 0u);
      modules += row.value("modules_left", 0u);
      cleanups += row.value("cleanups", 0u);
      batches += row.value("batches", 0u);
    }
  }
  double share(double part) const { return run + teardown > 0 ? 100 * part / (run + teardown) : 0; }
};

}  // namespace

std::string ledger_table(const std::vector<Json>& rows) {
  std::string text = formatted("  %5s  %-24s %-7s %-6s %-9s %7s %8s %10s %9s %8s\n", "visit", "module", "worker",
                               "member", "verdict", "load s", "run s", "teardown s", "peak MiB", "left B");
  for (const Json& row : rows) text += line(row);
  const Totals all(rows);
  return text +
         formatted("  %5s  %-24s %-7s %-6s %-9s %7.2f %8.2f %10.3f %9.1f %8lld\n", "total", "", "", "", "", all.load,
                   all.run, all.teardown, all.peak, all.bytes_left) +
         formatted("  teardown took %.2f %% of the time, ", all.share(all.teardown)) +
         counted(all.cleanups, "cleanup") + " of " + counted(all.batches, "batch") +
         formatted(" %.2f %%", all.share(all.cleanup)) + "; left behind: " + std::to_string(all.bytes_left) +
         (all.bytes_left == 1 ? " byte, " : " bytes, ") + counted(all.communicators, "communicator") + ", " +
         counted(all.graphs, "graph") + ", " + counted(all.modules, "module") + "\n";
}

Json module_totals(const std::vector<Json>& rows) {
  Json all = Json::object();
  std::map<std::string, double> timed;  // run seconds of the visits whose products were timed
  for (const Json& row : rows) {
    const std::string name = row.value("module", "?");
    if (!all.contains(name)) all[name] = Json::object();
    for (const char* key : {"load_s", "run_s", "teardown_s", "tokenize_s", "products_s", "tokens", "flops"})
      all[name][key] = all[name].value(key, 0.0) + row.value(key, 0.0);
    all[name]["allocated_peak"] = std::max(all[name].value("allocated_peak", 0.0), row.value("allocated_peak", 0.0));
    if (row.value("products_s", 0.0) > 0) timed[name] += row.value("run_s", 0.0);
  }
  for (const auto& [name, module] : all.items()) {
    const double run = module["run_s"], products = module["products_s"], tokenize = module["tokenize_s"];
    module["share_of_limit"] = timed[name] > 0 ? Json(products / timed[name]) : Json();
    module["share_tokenizing"] = run > 0 ? tokenize / run : 0.0;
  }
  return all;
}

std::string ledger_summary(const std::vector<Json>& rows) {
  if (rows.empty()) return "";
  std::map<long long, std::string> visits;  // the members of a gang share its verdict
  for (const Json& row : rows) visits[row.value("visit", 0ll)] = row.value("verdict", "?");
  std::map<std::string, int> verdicts;
  for (const auto& [visit, verdict] : visits) ++verdicts[verdict];
  const Totals all(rows);
  std::string text;
  for (const auto& [verdict, count] : verdicts)
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + verdict;
  text = "ledger: " + counted(visits.size(), "visit") + ": " + text;
  return text + formatted("; teardown %.2f s of %.1f s computed\n", all.teardown, all.run);
}

}  // namespace proctor
