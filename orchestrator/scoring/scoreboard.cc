#include "orchestrator/scoring/scoreboard.h"

#include <chrono>
#include <utility>

#include "orchestrator/cpython/python_text.h"

namespace proctor {

std::filesystem::path answers_file(const RunDirectory& directory, const Suite& suite, const Cell& cell) {
  const std::string& module = suite.modules[cell.module.value].name;
  const Task& task = suite.tasks[cell.task.value];
  return task_type_of(task).is_scored() ? directory.samples(module, task.name) : directory.responses(module, task.name);
}

Scoreboard::Scoreboard(const Work& work, const RunDirectory& directory, std::size_t limit, WriteFile write)
    : work_(work), directory_(directory), limit_(limit), write_(std::move(write)) {
  for (const Cell& cell : work.cells) {
    const std::size_t total = work.requests[cell.task.value].requests.size();
    cells_.push_back({std::vector<Response>(total), {0, total, 0}, {}, false, false});
  }
  for (const Shard& shard : work.shards)
    cells_[index_of_cell(work, shard.module, shard.task)].progress.flops_left += shard.flops;
}

void Scoreboard::add(const Shard& shard, const std::vector<Response>& responses) {
  const std::size_t index = index_of_cell(work_, shard.module, shard.task);
  CellState& cell = cells_[index];
  for (std::size_t i = 0; i < shard.requests.size(); ++i) {
    failed_requests_ += !responses[i].error.empty();
    cell.responses[shard.requests[i]] = responses[i];
  }
  cell.progress.done += shard.requests.size();
  cell.progress.flops_left -= shard.flops;
  if (cell.progress.done < cell.progress.total) return;
  cell.complete = true;
  begin_next();
}

void Scoreboard::begin_next() {
  for (std::size_t i = 0; i < cells_.size() && !scoring_; ++i) {
    CellState& cell = cells_[i];
    if (!cell.complete || cell.scored) continue;
    const std::uint32_t task = work_.cells[i].task.value;
    scoring_ = i;
    cell.scoring = std::async(std::launch::async, [this, task, &cell] {
      return score_cell(work_.templates[task], work_.requests[task], cell.responses, StderrOptions{});
    });
  }
}

void Scoreboard::collect(bool wait) {
  while (scoring_) {
    CellState& cell = cells_[*scoring_];
    if (!wait && cell.scoring.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return;
    const std::size_t index = *std::exchange(scoring_, std::nullopt);
    cell.scored = true;
    finish(index, cell.scoring.get());
    begin_next();
  }
}

void Scoreboard::finish(std::size_t index, CellScore score) {
  const auto [module, task] = std::pair(work_.cells[index].module.value, work_.cells[index].task.value);
  const Module& spec = work_.suite.modules[module];
  write_(answers_file(directory_, work_.suite, work_.cells[index]), std::move(score.samples));
  for (const std::string& failure : score.failures)
    failures_.push_back(spec.name + ", " + work_.suite.tasks[task].name + ": " + failure);
  cells_[index].responses = {};
  if (task_type_of(work_.suite.tasks[task]).is_scored()) scores_[module].emplace(task, std::move(score));
  for (std::size_t i = 0; i < cells_.size(); ++i)
    if (work_.cells[i].module.value == module && !cells_[i].scored) return;
  if (scores_[module].empty()) return;
  const nlohmann::ordered_json results = module_results(work_, ModuleId{module}, scores_[module], limit_);
  write_(directory_.results(spec.name), python::json_dumps(results, python::Ascii::keep, 2) + "\n");
  tables_[module] =
      spec.name + " (" + results["config"]["model_dtype"].get<std::string>() + ")\n" + results_table(results);
}

std::string Scoreboard::tables() const {
  std::string text;
  for (const auto& [module, table] : tables_) text += "\n" + table;
  return text;
}

nlohmann::ordered_json Scoreboard::provisional() const {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [module, tasks] : scores_)
    for (const auto& [task, score] : tasks)
      for (const MetricScore& metric : score.metrics)
        json[work_.suite.modules[module].name][work_.suite.tasks[task].name][metric.metric + "," + metric.filter] =
            metric.value;
  return json;
}

}  // namespace proctor
