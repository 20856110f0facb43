// Figures of several modules side by side: a row a task, metric and filter, a cell a module. For tables and the page.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace proctor {

struct ModuleRow {
  struct Cell {
    double value = 0;
    std::optional<double> error;  ///< its standard error
  };
  std::string task, metric, filter;
  std::vector<std::optional<Cell>> cells;  ///< of each module
  bool higher_is_better = true;
};

/// Rows in the order of `tasks`, then groups and tasks that it does not name; of a task by metric, then filter.
/// `modules`: name and results file of each. Throws nlohmann::json::exception where a file is no results file.
std::vector<ModuleRow> module_rows(const std::vector<std::pair<std::string, nlohmann::ordered_json>>& modules,
                                   std::vector<std::string> tasks);

}  // namespace proctor
