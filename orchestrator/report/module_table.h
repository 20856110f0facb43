// One table across modules: a row a task and metric, a column a module, the best of a row marked.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace proctor {

enum class TableFormat { markdown, csv, latex };

/// `modules`: name and results file of each, in the order of the columns; `tasks`: the order of the rows, groups and
/// tasks that it does not name after it. Values to four digits with half the 95 % interval (1.96 standard errors)
/// behind them; of .csv value and standard error in columns of their own, in full. Throws nlohmann::json::exception
/// where a file is no results file.
std::string module_table(const std::vector<std::pair<std::string, nlohmann::ordered_json>>& modules,
                         const std::vector<std::string>& tasks, TableFormat format);

}  // namespace proctor
