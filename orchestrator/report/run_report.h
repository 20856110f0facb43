// What a run tells: to the terminal, to logs/orchestrator.log, status.json, manifest.json, ledger.jsonl, turns.jsonl,
// and the tables at its end; with what it measured of devices on the way. It decides nothing. Main thread only; files
// are the store thread's.
#pragma once

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "orchestrator/planning/forecast.h"
#include "orchestrator/report/progress.h"
#include "orchestrator/scoring/scoreboard.h"
#include "orchestrator/store/run_directory.h"
#include "orchestrator/store/store_thread.h"
#include "sharding/conductor/conductor.h"

namespace proctor {

/// What earlier starts of this run have told.
struct EarlierStarts {
  double seconds = 0;  ///< where this one begins in the timeline
  std::vector<std::string> events;
  std::vector<LedgerLine> ledger;
  std::map<std::uint32_t, ShardOverrides> overrides;  ///< by shard index
  std::vector<bool> answered;                         ///< shards
};

class RunReport {
 public:
  struct Options {
    ProgressStyle progress = ProgressStyle::automatic;
    std::vector<std::string> command_line;
    bool quiet = false;                   ///< results and errors only
    std::optional<double> gpu_hour = {};  ///< what a device costs
  };
  /// All but the options outlive this. `now`: seconds since this start; `terminal`: for what a person reads meanwhile.
  RunReport(const Work& work, Options options, const RunDirectory& directory, StoreThread& store,
            const Scoreboard& scoreboard, const Forecast& forecast, EarlierStarts earlier, std::ostream& terminal,
            std::function<Moment()> now);

  void say(const std::string& message);    ///< to the terminal, unless quiet, and the log
  void log(const std::string& message);    ///< with the seconds since the start
  void event(const std::string& message);  ///< said, and kept: replaced workers, quarantined devices, ...
  /// The terminal alone, quiet or not: what ends the run.
  void say_only(const std::string& message) { view_.say(message); }
  const std::vector<std::string>& events() const { return events_; }

  // what happens, as it does
  void worker_started(SlotId worker);
  void visit_opened(VisitId visit, ModuleId module);
  void assigned(const Assignment& assignment, SlotId first_member);
  void reported(SlotId worker, const WorkerReport& report);
  void overridden(ShardId shard, const ShardOverrides& overrides) { overrides_[shard.value] = overrides; }
  void closed(const LedgerEntry& entry);
  /// A task that waited for answers has its shards now, instead of those that were foreseen.
  void on_planned();

  /// What the conductor knows of the run.
  struct Standing {
    std::size_t busy = 0, slots = 0;  ///< workers
    std::size_t unstored = 0;         ///< shards
  };
  /// Where scoring takes a while after the last answer.
  void tell_what_is_scored();
  /// Progress on the terminal and status.json, as often as is worth while; `force`: now.
  void show_progress(const Standing& standing, bool force);
  /// status.json, and metrics.prom beside it.
  void write_status(const std::string& state, std::optional<int> code, const Standing& standing);
  /// When the store's thread has stopped.
  void write_last_status(const std::string& state, int code, const Standing& standing) const;
  /// In a line, for whoever is told that a run ended.
  std::string end_text(int code, const Standing& standing) const;
  std::string manifest(int code, const Standing& standing, const std::vector<std::string>& hosts,
                       const std::vector<std::uint32_t>& workers) const;
  /// The tables, the ledger's sums, what failed, where the files are; quiet: the tables and what failed.
  void print(int code, const Standing& standing, std::ostream& out) const;

  /// Whether this start ended a visit.
  bool has_ledger() const { return !ledger_.empty(); }
  const Calibration& measured() const { return measured_; }
  static const char* state_of(int code);

 private:
  std::string status(const std::string& state, std::optional<int> code, const Standing& standing) const;
  std::string metrics(const std::string& state, std::optional<int> code, const Standing& standing) const;
  double speed() const;
  /// Of this start: its devices from first to last.
  double cost(const Standing& standing) const;
  double timeline_seconds() const { return earlier_seconds_ + now_().count(); }
  void add_forecast(nlohmann::ordered_json& manifest, const std::vector<std::uint32_t>& workers) const;
  void answered(const ShardAnswered& report);

  struct RunningAssignment {
    ShardId shard;
    double begin = 0;  // on the timeline
  };
  struct OpenedVisit {
    ModuleId module;
    double at = 0;  // on the timeline
  };

  const Work& work_;
  Options options_;
  const RunDirectory& directory_;
  StoreThread& store_;
  const Scoreboard& scoreboard_;
  const Forecast& forecast_;
  ProgressView view_;
  std::function<Moment()> now_;
  double earlier_seconds_;
  std::vector<std::string> events_;
  std::vector<LedgerLine> ledger_;                     // of this start
  std::map<std::uint32_t, ShardOverrides> overrides_;  // of shards that do not run as planned
  std::vector<bool> answered_before_;
  Moment last_status_{-1}, last_view_{-1};
  double total_flops_ = 0, busy_seconds_ = 0;
  std::uint64_t tokens_ = 0;
  std::map<VisitId, RunningAssignment> assignments_;
  std::map<VisitId, OpenedVisit> opened_;
  std::map<SlotId, double> started_;  // workers that are not ready yet
  std::set<SlotId> seen_;             // of which a worker has started
  std::size_t replaced_ = 0;          // workers
  Calibration measured_;
};

}  // namespace proctor
