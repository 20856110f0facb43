// Answers collected cell by cell; a cell is scored in the background as soon as it is complete, its samples written,
// and a module's results as soon as its last cell is. Main thread, but for the scoring itself.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <optional>
#include <string>
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
  Scoreboard(const Work& work, const RunDirectory& directory, std::size_t limit, WriteFile write);

  void add(const Shard& shard, const std::vector<Response>& responses);
  /// Hands out the files of what has been scored since.
  void collect(bool wait);
  /// Nothing complete is left to be scored.
  bool idle() const { return !scoring_; }

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
    std::vector<Response> responses;
    Progress progress;
    std::future<CellScore> scoring;
    bool complete = false, scored = false;
  };
  void begin_next();
  void finish(std::size_t cell, CellScore score);

  const Work& work_;
  const RunDirectory& directory_;
  std::size_t limit_;
  WriteFile write_;
  std::vector<CellState> cells_;
  std::map<std::uint32_t, std::map<std::uint32_t, CellScore>> scores_;  // module -> task
  std::map<std::uint32_t, std::string> tables_;
  std::optional<std::size_t> scoring_;  // the cell being scored; one at a time, so that threads do not pile up
  std::size_t failed_requests_ = 0;
  std::vector<std::string> failures_;
};

}  // namespace proctor
