#include "orchestrator/commands/compare.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <ostream>

#include "orchestrator/base/exit_code.h"
#include "orchestrator/compare/comparison.h"
#include "orchestrator/compare/comparison_json.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

std::string number(const std::optional<double>& value, const char* form) {
  if (!value) return "-";
  char text[64];
  std::snprintf(text, sizeof text, form, *value);
  return text;
}

std::string p_text(const std::optional<double>& p) { return p && *p < 0.0001 ? "<0.0001" : number(p, "%.4f"); }

std::vector<std::string> cells_of(const ComparedMetric& one) {
  const PairedResult& result = one.result;
  std::string interval = "-";
  if (result.interval)
    interval = "[" + number(result.interval->low, "%+.4f") + ", " + number(result.interval->high, "%+.4f") + "]";
  return {one.key.task + (one.tasks.empty() ? "" : " (" + counted(one.tasks.size(), "task") + ")"),
          one.key.metric + (one.higher_is_better ? "" : " (less is better)"),
          one.key.filter,
          std::to_string(result.n),
          number(result.a, "%.4f"),
          number(result.b, "%.4f"),
          number(result.difference, "%+.4f"),
          interval,
          p_text(result.p),
          p_text(one.p_adjusted),
          std::to_string(result.wins_a) + " : " + std::to_string(result.wins_b),
          number(result.detectable, "%.4f")};
}

void put_table(std::ostream& out, const Comparison& comparison) {
  std::vector<std::vector<std::string>> rows = {{"task", "metric", "filter", "n", "A", "B", "B - A", "95 % interval",
                                                 "p", "Holm's p", "better on A : B", "detectable"}};
  for (const ComparedMetric& one : comparison.metrics) rows.push_back(cells_of(one));
  std::vector<std::size_t> widths(rows[0].size());
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string blanks(widths[c] - row[c].size(), ' ');
      line += (c < 3 ? row[c] + blanks : blanks + row[c]) + "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << "\n";
  }
}

void put_rest(std::ostream& out, const Comparison& comparison) {
  for (const ComparedMetric& one : comparison.metrics)
    if (one.tasks.empty() && one.only_a + one.only_b > 0)
      out << one.key.task << ", " << one.key.metric << ": " << one.only_a << " documents only of A, " << one.only_b
          << " only of B; they are left out\n";
  for (const auto& [names, side] : {std::pair(&comparison.tasks_of_a, "A"), std::pair(&comparison.tasks_of_b, "B")})
    for (const std::string& task : *names) out << "only " << side << " has task " << task << "\n";
}

/// Those lines of a task's samples, by their numbers from 0; in the order of `wanted`.
std::vector<Json> lines_of(const Side& side, const TaskKey& key, const std::vector<std::size_t>& wanted) {
  std::vector<Json> lines(wanted.size());
  std::ifstream stream(side.samples(key.task));
  std::size_t number = 0;
  for (std::string text; std::getline(stream, text);) {
    Json line = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!line.is_object() || line.value("filter", "none") != key.filter) continue;
    const auto place = std::ranges::find(wanted, number++);
    if (place != wanted.end()) lines[static_cast<std::size_t>(place - wanted.begin())] = std::move(line);
  }
  return lines;
}

std::string answer_of(const Json& line) {
  if (line.contains("filtered_resps")) return line["filtered_resps"].dump();
  return line.value("ranking", Json()).dump();
}

void put_flip(std::ostream& out, const Json& a, const Json& b, const std::string& metric) {
  out << "  document " << a.value("doc_id", Json()).dump() << ": " << metric << " " << a.value(metric, Json()).dump()
      << " and " << b.value(metric, Json()).dump() << ", target " << a.value("target", Json()).dump() << "\n";
  const Json arguments = a.value("arguments", Json::object());
  if (!arguments.empty())
    if (const Json& first = arguments.begin().value(); first.is_object() && first.contains("arg_0"))
      out << "    prompt " << first["arg_0"].dump() << "\n";
  out << "    A " << answer_of(a) << "\n    B " << answer_of(b) << "\n";
}

void put_flips(std::ostream& out, const ComparedMetric& one, const Side& a, const Side& b, std::size_t most) {
  for (const bool a_better : {true, false}) {
    std::vector<std::size_t> of_a, of_b;
    for (const Pair& pair : one.pairs) {
      const double gain = one.higher_is_better ? pair.b - pair.a : pair.a - pair.b;
      if (gain == 0 || (gain < 0) != a_better || of_a.size() == most) continue;
      of_a.push_back(pair.line_a);
      of_b.push_back(pair.line_b);
    }
    if (of_a.empty()) continue;
    out << "\n" << one.key.task << ", " << one.key.metric << ": " << (a_better ? "A" : "B") << " is better on\n";
    const std::vector<Json> first = lines_of(a, one.key, of_a), second = lines_of(b, one.key, of_b);
    for (std::size_t i = 0; i < first.size(); ++i) put_flip(out, first[i], second[i], one.key.metric);
  }
}

}  // namespace

int compare(const CompareOptions& options, std::ostream& out) {
  const Side a = Side::of_run(options.sides.at(0));
  const Side b =
      options.against_lm_eval.empty() ? Side::of_run(options.sides.at(1)) : Side::of_lm_eval(options.against_lm_eval);
  const Comparison comparison = compare(a, b, options.tasks, options.cluster);
  if (comparison.metrics.empty())
    throw UsageError(a.name() + " and " + b.name() + " share no metric that documents have a value of");
  if (options.json) {
    Json tasks = Json::array();
    for (const ComparedMetric& one : comparison.metrics) tasks.push_back(as_json(one));
    out << Json({{"a", a.name()}, {"b", b.name()}, {"tasks", tasks}}).dump(2) << "\n";
  } else {
    out << "A: " << a.name() << "\nB: " << b.name() << "\n\n";
    put_table(out, comparison);
    put_rest(out, comparison);
    for (const ComparedMetric& one : comparison.metrics)
      if (options.flips > 0 && one.tasks.empty()) put_flips(out, one, a, b, static_cast<std::size_t>(options.flips));
  }
  if (!options.fail_if_worse) return kDone;
  return std::ranges::any_of(comparison.metrics, [&](const auto& one) { return is_worse(one, options.margin); })
             ? kWorse
             : kDone;
}

}  // namespace proctor
