#include "orchestrator/report/module_table.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "orchestrator/base/formatted.h"
#include "orchestrator/report/module_rows.h"

namespace proctor {
namespace {

constexpr double kHalfInterval = 1.96;  // standard errors of 95 % of a normal distribution

std::string shown(double value) { return formatted("%.4f", value); }

/// The best of several values, as they are shown; of equal ones each.
bool is_best(const ModuleRow& row, const ModuleRow::Cell& cell) {
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

std::string cell_text(const ModuleRow& row, const std::optional<ModuleRow::Cell>& cell, const char* begin,
                      const char* end, const char* plus_minus) {
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

std::string metric_text(const ModuleRow& row) {
  return row.metric + (row.filter == "none" ? "" : " (" + row.filter + ")");
}

std::string markdown(const std::vector<std::string>& names, const std::vector<ModuleRow>& rows) {
  std::string text = "| task | metric |";
  for (const std::string& name : names) text += " " + escaped(name, "|*") + " |";
  text += "\n|---|---|";
  for (std::size_t m = 0; m < names.size(); ++m) text += "---:|";
  text += "\n";
  for (const ModuleRow& row : rows) {
    text += "| " + escaped(row.task, "|*") + " | " + escaped(metric_text(row), "|*") +
            (row.higher_is_better ? " ↑" : " ↓") + " |";
    for (const auto& cell : row.cells) text += " " + cell_text(row, cell, "**", "**", " ± ") + " |";
    text += "\n";
  }
  return text;
}

std::string latex(const std::vector<std::string>& names, const std::vector<ModuleRow>& rows) {
  constexpr const char* kSpecial = "#$%&_{}";
  std::string text = "\\begin{tabular}{ll" + std::string(names.size(), 'r') + "}\n\\hline\ntask & metric";
  for (const std::string& name : names) text += " & " + escaped(name, kSpecial);
  text += " \\\\\n\\hline\n";
  for (const ModuleRow& row : rows) {
    text += escaped(row.task, kSpecial) + " & " + escaped(metric_text(row), kSpecial) +
            (row.higher_is_better ? " $\\uparrow$" : " $\\downarrow$");
    for (const auto& cell : row.cells) text += " & " + cell_text(row, cell, "\\textbf{", "}", " $\\pm$ ");
    text += " \\\\\n";
  }
  return text + "\\hline\n\\end{tabular}\n";
}

std::string csv(const std::vector<std::string>& names, const std::vector<ModuleRow>& rows) {
  std::string text = "task,metric,filter";
  for (const std::string& name : names) text += "," + quoted(name) + "," + quoted(name + " stderr");
  text += "\n";
  const auto number = [](double value) { return formatted("%.17g", value); };
  for (const ModuleRow& row : rows) {
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
  const std::vector<ModuleRow> rows = module_rows(modules, tasks);
  return format == TableFormat::markdown ? markdown(names, rows)
         : format == TableFormat::csv    ? csv(names, rows)
                                         : latex(names, rows);
}

}  // namespace proctor
