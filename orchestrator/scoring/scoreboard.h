// Answers, scored as they come: a thread of low priority scores each shard's documents, so that little is left when the
// last answer is in; a module's results are written as soon as its last cell is complete, a cell's samples next. Main
// thread, but for the scoring itself.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "orchestrator/planning/work.h"
#include "orchestrator/scoring/results.h"
#include "orchestrator/store/run_directory.h"

namespace proctor {

/// Puts a file in place, now or soon.
using WriteFile = std::function<void(const std::filesystem::path&, std::string)>;

/// Where a cell's answers go: samples/, or responses/ where they are not scored.
std::filesystem::path answers_file(const RunDirectory& directory, const Suite& suite, const Cell& cell);

class Scoreboard {
 public:
  /// All outlive this; `write` is called by collect().
  Scoreboard(const Work& work, const RunDirectory& directory, DocumentLimit limit, WriteFile write);
  /// Waits for what is being scored; the rest is dropped.
  ~Scoreboard();
  Scoreboard(const Scoreboard&) = delete;  // its thread works in it
  Scoreboard& operator=(const Scoreboard&) = delete;

  void add(const Shard& shard, std::vector<Response> responses);
  /// A task that waited for answers has its requests now; `shards`: all that its cells have.
  void on_planned(TaskId task, std::span<const Shard> shards);
  struct FreshScore {
    std::size_t cell = 0;
    std::vector<MetricScore> metrics;
    Rankings rankings;
  };
  /// Cells whose figures have come since the last call, as long as a task waits for answers.
  std::vector<FreshScore> take_scores() { return std::exchange(fresh_, {}); }
  /// Hands out the files of what has been scored since. Throws what scoring threw (StoreFailure of a full disk).
  void collect(bool wait);
  /// Every module's results, if it has some, are handed out; samples may follow.
  bool has_all_results() const { return scored_ == cells_.size(); }
  /// Every complete cell is scored, and all of it handed out.
  bool idle() const { return written_ == complete_; }
  /// Cells that are complete and not scored yet.
  std::vector<std::size_t> left_to_score() const;

  struct Progress {
    std::size_t done = 0, total = 0;  ///< requests
    double flops_left = 0;
  };
  const Progress& progress(std::size_t cell) const { return cells_[cell].progress; }
  std::size_t failed_requests() const { return failed_requests_; }
  const std::vector<std::string>& failures() const { return failures_; }
  /// Tables of the modules that are complete, in suite order.
  std::string tables() const;
  nlohmann::ordered_json provisional() const;  ///< scores so far: module -> task -> metric -> value

 private:
  struct CellState {
    Progress progress;
    std::unique_ptr<CellScorer> scorer;  // the scoring thread's
    bool scored = false;
  };
  struct Job {
    std::size_t cell = 0;
    std::optional<std::vector<std::uint32_t>> requests = {};  // of the cell; none: all has come, finish
    std::vector<Response> responses = {};
  };
  struct Scored {  ///< a cell's figures, or then its samples
    std::size_t cell = 0;
    std::optional<CellScore> score;
    std::string samples;
  };
  void put(Job job);
  void work_off();
  void carry_out(Job& job);
  void finish(std::size_t cell, CellScore score);

  const Work& work_;
  const RunDirectory& directory_;
  DocumentLimit limit_;
  WriteFile write_;
  std::vector<CellState> cells_;
  std::map<std::uint32_t, std::map<std::uint32_t, CellScore>> scores_;  // module -> task
  std::map<std::uint32_t, std::string> tables_;
  std::vector<FreshScore> fresh_;
  std::size_t complete_ = 0, scored_ = 0, written_ = 0;  // cells
  std::size_t failed_requests_ = 0;
  std::vector<std::string> failures_;

  std::mutex mutex_;
  std::condition_variable filled_, emptied_;
  std::deque<Job> jobs_;
  std::vector<Scored> done_;
  std::exception_ptr failure_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace proctor
