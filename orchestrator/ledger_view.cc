#include "orchestrator/ledger_view.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <map>

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

[[gnu::format(printf, 1, 2)]] std::string formatted(const char* format, ...) {
  char text[400];
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return text;
}

double seconds(const Json& row, const char* key) { return row.value(key, 0.0); }
double mebibytes(const Json& row, const char* key) { return row.value(key, 0.0) / (1 << 20); }

long long bytes_left(const Json& row) {
  return row.value("allocated_after", std::int64_t{0}) - row.value("allocated_before", std::int64_t{0});
}

std::string line(const Json& row) {
  const std::string reason = row.value("reason", "");
  return formatted("  %5lld  %-24s %-7s %-9s %7.2f %8.2f %9.3f %10.1f %8lld%s%s\n", row.value("visit", 0ll),
                   row.value("module", "?").c_str(), row.value("worker", "?").c_str(),
                   row.value("verdict", "?").c_str(), seconds(row, "load_s"), seconds(row, "run_s"),
                   seconds(row, "teardown_s"), mebibytes(row, "allocated_peak"), bytes_left(row),
                   reason.empty() ? "" : "  ", reason.c_str());
}

}  // namespace

std::string ledger_table(const std::vector<Json>& rows) {
  std::string text = formatted("  %5s  %-24s %-7s %-9s %7s %8s %9s %10s %8s\n", "visit", "module", "worker", "verdict",
                               "load s", "run s", "teardown", "peak MiB", "left B");
  double load = 0, run = 0, teardown = 0, peak = 0;
  for (const Json& row : rows) {
    text += line(row);
    load += seconds(row, "load_s");
    run += seconds(row, "run_s");
    teardown += seconds(row, "teardown_s");
    peak = std::max(peak, mebibytes(row, "allocated_peak"));
  }
  return text +
         formatted("  %5s  %-24s %-7s %-9s %7.2f %8.2f %9.3f %10.1f\n", "total", "", "", "", load, run, teardown, peak);
}

std::string ledger_summary(const std::vector<Json>& rows) {
  if (rows.empty()) return "";
  std::map<std::string, int> verdicts;
  double teardown = 0, run = 0;
  for (const Json& row : rows) {
    ++verdicts[row.value("verdict", "?")];
    teardown += seconds(row, "teardown_s");
    run += seconds(row, "run_s");
  }
  std::string text = "ledger: " + std::to_string(rows.size()) + " visits:";
  for (const auto& [verdict, count] : verdicts) text += " " + std::to_string(count) + " " + verdict;
  return text + formatted("; teardown %.2f s of %.1f s computed\n", teardown, run);
}

}  // namespace proctor
