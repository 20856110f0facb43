#include "orchestrator/report/module_rows.h"

#include <algorithm>

#include "orchestrator/metrics/aggregation.h"

namespace proctor {

using Json = nlohmann::ordered_json;

std::vector<ModuleRow> module_rows(const std::vector<std::pair<std::string, Json>>& modules,
                                   std::vector<std::string> tasks) {
  for (const auto& [name, results] : modules)
    for (const auto& [task, row] : results.at("results").get_ref<const Json::object_t&>())
      if (std::ranges::find(tasks, task) == tasks.end()) tasks.push_back(task);
  std::vector<ModuleRow> rows;
  for (const std::string& task : tasks) {
    std::vector<ModuleRow> of_task;
    for (std::size_t m = 0; m < modules.size(); ++m) {
      const Json& results = modules[m].second.at("results");
      if (!results.contains(task)) continue;
      for (const auto& [key, value] : results.at(task).get_ref<const Json::object_t&>()) {
        const auto comma = key.find(',');
        if (comma == std::string::npos || key.find("_stderr,") != std::string::npos || !value.is_number()) continue;
        const std::string metric = key.substr(0, comma), filter = key.substr(comma + 1);
        auto row =
            std::ranges::find_if(of_task, [&](const ModuleRow& r) { return r.metric == metric && r.filter == filter; });
        if (row == of_task.end()) {
          of_task.push_back({task, metric, filter, {}, higher_is_better(metric)});
          row = std::prev(of_task.end());
        }
        row->cells.resize(modules.size());
        ModuleRow::Cell cell{value.get<double>(), std::nullopt};
        if (const Json error = results.at(task).value(metric + "_stderr," + filter, Json()); error.is_number())
          cell.error = error.get<double>();
        row->cells[m] = cell;
      }
    }
    for (ModuleRow& row : of_task) row.cells.resize(modules.size());
    std::ranges::sort(of_task, {}, [](const ModuleRow& row) { return std::pair(row.metric, row.filter); });
    std::ranges::move(of_task, std::back_inserter(rows));
  }
  return rows;
}

}  // namespace proctor
