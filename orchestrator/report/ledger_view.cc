#include "orchestrator/report/ledger_view.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "orchestrator/base/formatted.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

double mebibytes(std::uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

/// Of a worker its tensors, of a guest the memory of its process tree; "-" where nobody saw.
std::string peak_of(const LedgerRow& row) {
  if (!row.guest) return formatted("%.1f", mebibytes(row.allocated_peak));
  return row.outside ? formatted("%.1f", mebibytes(row.outside->pss_peak)) : "-";
}

std::string text_of(const LedgerLine& line, int verdict_width) {
  const LedgerRow& row = line.row;
  const std::string member = std::to_string(line.member) + "/" + std::to_string(line.members);
  const std::string left = row.guest ? "-" : std::to_string(bytes_left(row));
  return formatted("  %5u  %-24s %-7s %-6s %-*s %7.2f %8.2f %10.3f %9s %8s", line.visit.value, line.module.c_str(),
                   device_name(line.worker).c_str(), member.c_str(), verdict_width,
                   verdict_text(line.verdict, row).c_str(), row.load_s, row.run_s, row.teardown_s, peak_of(row).c_str(),
                   left.c_str()) +
         (line.reason.empty() ? "" : "  " + line.reason) + "\n";
}

/// What all rows come to.
struct Totals {
  double load = 0, run = 0, teardown = 0, cleanup = 0, peak = 0;
  long long bytes_left = 0;
  std::uint64_t communicators = 0, graphs = 0, modules = 0, cleanups = 0, batches = 0;

  explicit Totals(const std::vector<LedgerLine>& lines) {
    for (const LedgerLine& line : lines) {
      const LedgerRow& row = line.row;
      load += row.load_s;
      run += row.run_s;
      teardown += row.teardown_s;
      cleanup += row.cleanup_s;
      peak = std::max(peak, mebibytes(row.allocated_peak));
      bytes_left = static_cast<long long>(static_cast<std::uint64_t>(bytes_left) +
                                          static_cast<std::uint64_t>(proctor::bytes_left(row)));
      communicators += row.communicators_left;
      graphs += row.graphs_left;
      modules += row.modules_left;
      cleanups += row.cleanups;
      batches += row.batches;
    }
  }
  double share(double part) const { return run + teardown > 0 ? 100 * part / (run + teardown) : 0; }
};

/// What all visits of a module come to.
struct ModuleTotals {
  double load = 0, run = 0, teardown = 0, tokenize = 0, products = 0, tokens = 0, flops = 0, peak = 0;
  double images = 0, vision = 0, device = 0;
  std::set<VisitId> visits = {};
  std::optional<double> energy = {};  // joules, of the visits whose energy somebody measured
  bool guest = false;
  double timed = 0;  // run seconds of the visits whose products were timed
};

}  // namespace

long long bytes_left(const LedgerRow& row) {
  return static_cast<long long>(row.allocated_after - row.allocated_before);  // unsigned: any two may stand in a file
}

std::optional<double> energy_of(const LedgerRow& row) { return row.outside ? row.outside->energy_j : std::nullopt; }

std::string ledger_table(const std::vector<LedgerLine>& lines) {
  const bool guests = std::ranges::any_of(lines, [](const LedgerLine& line) { return line.row.guest; });
  const int width = guests ? 15 : 9;  // of "clean (outside)"
  std::string text = formatted("  %5s  %-24s %-7s %-6s %-*s %7s %8s %10s %9s %8s\n", "visit", "module", "worker",
                               "member", width, "verdict", "load s", "run s", "teardown s", "peak MiB", "left B");
  for (const LedgerLine& line : lines) text += text_of(line, width);
  const Totals all(lines);
  return text +
         formatted("  %5s  %-24s %-7s %-6s %-*s %7.2f %8.2f %10.3f %9.1f %8lld\n", "total", "", "", "", width, "",
                   all.load, all.run, all.teardown, all.peak, all.bytes_left) +
         formatted("  teardown took %.2f %% of the time, ", all.share(all.teardown)) +
         counted(all.cleanups, "cleanup") + " of " + counted(all.batches, "batch") +
         formatted(" %.2f %%", all.share(all.cleanup)) + "; left behind: " + std::to_string(all.bytes_left) +
         (all.bytes_left == 1 ? " byte, " : " bytes, ") + counted(all.communicators, "communicator") + ", " +
         counted(all.graphs, "graph") + ", " + counted(all.modules, "module") + "\n" +
         (guests ? "  (outside): measured by the agent on the guest's process tree, whose memory is its peak; what it "
                   "holds "
                   "inside nobody knows (-)\n"
                 : "");
}

Json module_totals(const std::vector<LedgerLine>& lines) {
  std::vector<std::pair<std::string, ModuleTotals>> all;  // in the order of their first visits
  for (const LedgerLine& line : lines) {
    auto found = std::ranges::find(all, line.module, &std::pair<std::string, ModuleTotals>::first);
    if (found == all.end()) found = all.insert(all.end(), {line.module, {}});
    ModuleTotals& module = found->second;
    module.load += line.row.load_s;
    module.run += line.row.run_s;
    module.teardown += line.row.teardown_s;
    module.tokenize += line.row.tokenize_s;
    module.images += static_cast<double>(line.row.images);
    module.vision += line.row.vision_s;
    module.products += line.row.products_s;
    module.tokens += static_cast<double>(line.row.tokens);
    module.flops += line.row.flops;
    module.peak = std::max(module.peak, static_cast<double>(line.row.allocated_peak));
    module.guest = line.row.guest;
    if (line.row.products_s > 0) module.timed += line.row.run_s;
    module.visits.insert(line.visit);
    module.device += std::max(0.0, line.closed_s - line.opened_s);
    if (const auto energy = energy_of(line.row)) module.energy = module.energy.value_or(0) + *energy;
  }
  Json json = Json::object();
  for (const auto& [name, module] : all)
    json[name] = {{"visits", module.visits.size()},
                  {"device_s", module.device},
                  {"load_s", module.load},
                  {"run_s", module.run},
                  {"teardown_s", module.teardown},
                  {"tokenize_s", module.tokenize},
                  {"images", module.images},
                  {"vision_s", module.vision},
                  {"products_s", module.products},
                  {"tokens", module.tokens},
                  {"flops", module.flops},
                  {"energy_j", module.energy ? Json(*module.energy) : Json()},
                  {"allocated_peak", module.guest ? Json() : Json(module.peak)},
                  {"share_of_limit", module.timed > 0 ? Json(module.products / module.timed) : Json()},
                  {"share_tokenizing", module.run > 0 ? module.tokenize / module.run : 0.0}};
  return json;
}

std::string ledger_summary(const std::vector<LedgerLine>& lines) {
  if (lines.empty()) return "";
  std::map<VisitId, std::string> visits;  // the members of a gang share its verdict
  for (const LedgerLine& line : lines) visits[line.visit] = verdict_text(line.verdict, line.row);
  std::map<std::string, int> verdicts;
  for (const auto& [visit, verdict] : visits) ++verdicts[verdict];
  const Totals all(lines);
  std::string text;
  for (const auto& [verdict, count] : verdicts)
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + verdict;
  text = "ledger: " + counted(visits.size(), "visit") + ": " + text;
  return text + formatted("; teardown %.2f s of %.1f s computed\n", all.teardown, all.run);
}

}  // namespace proctor
