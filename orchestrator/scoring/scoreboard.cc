#include "orchestrator/scoring/scoreboard.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "orchestrator/base/machine.h"
#include "orchestrator/cpython/python_text.h"
#include "orchestrator/scoring/results_table.h"

namespace proctor {
namespace {

constexpr int kNiceness = 10;  // workers come first

}  // namespace

std::filesystem::path answers_file(const RunDirectory& directory, const Suite& suite, const Cell& cell) {
  const std::string& module = suite.modules[cell.module.value].name;
  const Task& task = suite.tasks[cell.task.value];
  return task_type_of(task).is_scored() ? directory.samples(module, task.name) : directory.responses(module, task.name);
}

Scoreboard::Scoreboard(const Work& work, const RunDirectory& directory, DocumentLimit limit, WriteFile write)
    : work_(work), directory_(directory), limit_(limit), write_(std::move(write)), cells_(work.cells.size()) {
  for (std::size_t c = 0; c < cells_.size(); ++c)
    cells_[c].progress.total = work.requests_of(work.cells[c].module, work.cells[c].task).requests.size();
  work.each_shard([&](const Shard& shard) {
    cells_[index_of_cell(work, shard.module, shard.task)].progress.flops_left += shard.flops;
  });
  thread_ = std::thread([this] { work_off(); });
}

Scoreboard::~Scoreboard() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  filled_.notify_one();
  thread_.join();
}

void Scoreboard::add(const Shard& shard, std::vector<Response> responses) {
  const std::size_t index = index_of_cell(work_, shard.module, shard.task);
  Progress& progress = cells_[index].progress;
  for (const Response& response : responses) failed_requests_ += !response.error.empty();
  progress.done += shard.requests.size();
  progress.flops_left -= shard.flops;
  put({index, shard.requests, std::move(responses)});
  if (progress.done < progress.total) return;
  ++complete_;
  put({index});
}

void Scoreboard::on_planned(TaskId task, std::span<const Shard> shards) {
  for (std::size_t c = 0; c < cells_.size(); ++c) {
    if (work_.cells[c].task != task) continue;
    Progress& progress = cells_[c].progress;
    progress = {0, work_.requests_of(work_.cells[c].module, task).requests.size(), 0};
    for (const Shard& shard : shards)
      if (shard.module == work_.cells[c].module && shard.task == task) progress.flops_left += shard.flops;
    if (progress.total > 0) continue;
    ++complete_;  // every document that it would have asked for has failed, or was left out
    put({c});
  }
}

void Scoreboard::put(Job job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  filled_.notify_one();
}

void Scoreboard::work_off() {
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNiceness);  // of this thread, and of those it starts
  std::unique_lock lock(mutex_);
  for (;;) {
    filled_.wait(lock, [&] { return stopping_ || (!jobs_.empty() && !failure_); });
    if (stopping_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    std::exception_ptr failure;
    try {
      carry_out(job);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    failure_ = failure;
    emptied_.notify_all();
  }
}

void Scoreboard::carry_out(Job& job) {
  std::unique_ptr<CellScorer>& scorer = cells_[job.cell].scorer;
  const std::uint32_t task = work_.cells[job.cell].task.value;
  if (!scorer) {
    StderrOptions options;
    options.threads = std::max(1u, usable_cores());
    scorer = std::make_unique<CellScorer>(
        work_.templates[task], work_.requests_of(work_.cells[job.cell].module, work_.cells[job.cell].task),
        answers_file(directory_, work_.suite, work_.cells[job.cell]).parent_path(), options);
  }
  if (job.requests) return scorer->add(*job.requests, std::move(job.responses));
  CellScore score = scorer->finish();
  std::string samples = std::move(score.samples);
  {
    const std::lock_guard lock(mutex_);
    done_.push_back({job.cell, std::move(score), ""});
  }
  samples += scorer->samples();
  scorer.reset();
  const std::lock_guard lock(mutex_);
  done_.push_back({job.cell, std::nullopt, std::move(samples)});
}

void Scoreboard::collect(bool wait) {
  do {
    std::vector<Scored> done;
    {
      std::unique_lock lock(mutex_);
      if (wait) emptied_.wait(lock, [&] { return failure_ || !done_.empty() || idle(); });
      if (failure_) std::rethrow_exception(failure_);
      done = std::exchange(done_, {});
    }
    for (Scored& one : done) {
      if (one.score) {
        finish(one.cell, std::move(*one.score));
      } else {
        write_(answers_file(directory_, work_.suite, work_.cells[one.cell]), std::move(one.samples));
        ++written_;
      }
    }
  } while (wait && !idle());
}

void Scoreboard::finish(std::size_t index, CellScore score) {
  ++scored_;
  cells_[index].scored = true;
  const auto [module, task] = std::pair(work_.cells[index].module.value, work_.cells[index].task.value);
  const Module& spec = work_.suite.modules[module];
  Rankings rankings = std::move(score.rankings);  // may be large, and nobody else needs them
  if (!work_.waiting.empty()) fresh_.push_back({index, score.metrics, std::move(rankings)});
  for (const std::string& failure : score.failures)
    failures_.push_back(spec.name + ", " + work_.suite.tasks[task].name + ": " + failure);
  if (task_type_of(work_.suite.tasks[task]).is_scored()) scores_[module].emplace(task, std::move(score));
  for (std::size_t i = 0; i < cells_.size(); ++i)
    if (work_.cells[i].module.value == module && !cells_[i].scored) return;
  if (scores_[module].empty()) return;
  const nlohmann::ordered_json results = module_results(work_, ModuleId{module}, scores_[module], limit_);
  write_(directory_.results(spec.name), python::json_dumps(results, python::Ascii::keep, 2) + "\n");
  tables_[module] = spec.name + " (" + results_heading(results) + ")\n" + results_table(results);
}

std::vector<std::size_t> Scoreboard::left_to_score() const {
  std::vector<std::size_t> left;
  for (std::size_t c = 0; c < cells_.size(); ++c)
    if (!cells_[c].scored && !work_.waits(work_.cells[c].task) && cells_[c].progress.done == cells_[c].progress.total)
      left.push_back(c);
  return left;
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
