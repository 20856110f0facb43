#include "orchestrator/report/module_table.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "orchestrator/base/formatted.h"
#include "orchestrator/metrics/aggregation.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;
constexpr double kHalfInterval = 1.96;  // standard errors of 95 % of a normal distribution

struct Cell {
  double value = 0;
  std::optional<double> error;
};
struct Row {
  std::string task, metric, filter;
  std::vector<std::optional<Cell>> cells;  // of each module
  bool higher_is_better = true;
};

/// Rows by task, then by name of metric and filter.
std::vector<Row> rows_of(const std::vector<std::pair<std::string, Json>>& modules, std::vector<std::string> tasks) {
  for (const auto& [name, results] : modules)
    for (const auto& [task, row] : results.at("results").get_ref<const Json::object_t&>())
      if (std::ranges::find(tasks, task) == tasks.end()) tasks.push_back(task);
  std::vector<Row> rows;
  for (const std::string& task : tasks) {
    std::vector<Row> of_task;
    for (std::size_t m = 0; m < modules.size(); ++m) {
      const Json& results = modules[m].second.at("results");
      if (!results.contains(task)) continue;
      for (const auto& [key, value] : results.at(task).get_ref<const Json::object_t&>()) {
        const auto comma = key.find(',');
        if (comma == std::string::npos || key.find("_stderr,") != std::string::npos || !value.is_number()) continue;
        const std::string metric = key.substr(0, comma), filter = key.substr(comma + 1);
        auto row =
            std::ranges::find_if(of_task, [&](const Row& r) { return r.metric == metric && r.filter == filter; });
        if (row == of_task.end()) {
          of_task.push_back({task, metric, filter, {}, higher_is_better(metric)});
          row = std::prev(of_task.end());
        }
        row->cells.resize(modules.size());
        Cell cell{value.get<double>(), std::nullopt};
        if (const Json error = results.at(task).value(metric + "_stderr," + filter, Json()); error.is_number())
          cell.error = error.get<double>();
        row->cells[m] = cell;
      }
    }
    for (Row& row : of_task) row.cells.resize(modules.size());
    std::ranges::sort(of_task, {}, [](const Row& row) { return std::pair(row.metric, row.filter); });
    std::ranges::move(of_task, std::back_inserter(rows));
  }
  return rows;
}

std::string shown(double value) { return formatted("%.4f", value); }

/// The best of several values, as they are shown; of equal ones each.
bool is_best(const Row& row, const Cell& cell) {
  std::size_t values = 0;
  double best =
      row.higher_is_better ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  for (const auto& other : row.cells)
    if (other) {
      ++values;
      best = row.higher_is_better ? std::max(best, other->value) : std::min(best, other->value);
    }
  return values > 1 && shown(best) == shown(cell.value);
}

std::string cell_text(const Row& row, const std::optional<Cell>& cell, const char* begin, const char* end,
                      const char* plus_minus) {
  if (!cell) return "";
  const bool best = is_best(row, *cell);
  std::string text = (best ? begin : "") + shown(cell->value) + (best ? end : "");
  if (cell->error) text += plus_minus + shown(kHalfInterval * *cell->error);
  return text;
}

std::string escaped(const std::string& text, const std::string& special) {
  std::string out;
  for (const char c : text) out += (special.find(c) == std::string::npos ? "" : "\\") + std::string(1, c);
  return out;
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += std::string(c == '"' ? 2 : 1, c);
  return out + "\"";
}

std::string metric_text(const Row& row) { return row.metric + (row.filter == "none" ? "" : " (" + row.filter + ")"); }

std::string markdown(const std::vector<std::string>& names, const std::vector<Row>& rows) {
  std::string text = "| task | metric |";
  for (const std::string& name : names) text += " " + escaped(name, "|*") + " |";
  text += "\n|---|---|";
  for (std::size_t m = 0; m < names.size(); ++m) text += "---:|";
  text += "\n";
  for (const Row& row : rows) {
    text += "| " + escaped(row.task, "|*") + " | " + escaped(metric_text(row), "|*") +
            (row.higher_is_better ? " ↑" : " ↓") + " |";
    for (const auto& cell : row.cells) text += " " + cell_text(row, cell, "**", "**", " ± ") + " |";
    text += "\n";
  }
  return text;
}

std::string latex(const std::vector<std::string>& names, const std::vector<Row>& rows) {
  constexpr const char* kSpecial = "#$%&_{}";
  std::string text = "\\begin{tabular}{ll" + std::string(names.size(), 'r') + "}\n\\hline\ntask & metric";
  for (const std::string& name : names) text += " & " + escaped(name, kSpecial);
  text += " \\\\\n\\hline\n";
  for (const Row& row : rows) {
    text += escaped(row.task, kSpecial) + " & " + escaped(metric_text(row), kSpecial) +
            (row.higher_is_better ? " $\\uparrow$" : " $\\downarrow$");
    for (const auto& cell : row.cells) text += " & " + cell_text(row, cell, "\\textbf{", "}", " $\\pm$ ");
    text += " \\\\\n";
  }
  return text + "\\hline\n\\end{tabular}\n";
}

std::string csv(const std::vector<std::string>& names, const std::vector<Row>& rows) {
  std::string text = "task,metric,filter";
  for (const std::string& name : names) text += "," + quoted(name) + "," + quoted(name + " stderr");
  text += "\n";
  const auto number = [](double value) { return formatted("%.17g", value); };
  for (const Row& row : rows) {
    text += quoted(row.task) + "," + quoted(row.metric) + "," + quoted(row.filter);
    for (const auto& cell : row.cells)
      text += "," + (cell ? number(cell->value) : "") + "," + (cell && cell->error ? number(*cell->error) : "");
    text += "\n";
  }
  return text;
}

}  // namespace

std::string module_table(const std::vector<std::pair<std::string, nlohmann::ordered_json>>& modules,
                         const std::vector<std::string>& tasks, TableFormat format) {
  std::vector<std::string> names;
  for (const auto& [name, results] : modules) names.push_back(name);
  const std::vector<Row> rows = rows_of(modules, tasks);
  return format == TableFormat::markdown ? markdown(names, rows)
         : format == TableFormat::csv    ? csv(names, rows)
                                         : latex(names, rows);
}

}  // namespace proctor
