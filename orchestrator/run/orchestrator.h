// The loop of rank 0: joins the conductor (decisions), the agents (its own and the remote ones), the store and the
// scoreboard. It never waits: messages are polled, SQLite has its own thread, scoring too.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "orchestrator/planning/forecast.h"
#include "orchestrator/ranks/agent.h"
#include "orchestrator/ranks/mpi_session.h"
#include "orchestrator/ranks/patient_clock.h"
#include "orchestrator/report/progress.h"
#include "orchestrator/run/resume.h"
#include "orchestrator/run/run_options.h"
#include "orchestrator/scoring/scoreboard.h"
#include "orchestrator/store/run_directory.h"
#include "orchestrator/store/store_thread.h"
#include "sharding/conductor/conductor.h"

namespace proctor {

constexpr AgentId kLocal{0};  ///< the agent within rank 0

class Orchestrator final : private Executor {
 public:
  Orchestrator(const Work& work, const RunOptions& options, const RunDirectory& directory, RunStore& store,
               RunLock& lock, MpiSession& mpi, Resumed resumed);
  /// Runs to the end; returns the exit code.
  int run();

 private:
  // Executor
  void start(SlotId slot, std::uint32_t incarnation) override;
  void kill(SlotId slot) override;
  void open(std::span<const SlotId> members, VisitId visit, ModuleId module) override;
  void join(SlotId slot, VisitId visit, const std::string& address) override;
  void assign(const Assignment& assignment, SlotId first_member) override;
  void run(SlotId slot, const Assignment& assignment) override;
  void close(SlotId slot, VisitId visit) override;
  void tear_down(SlotId slot, VisitId visit) override;
  void abort(SlotId slot, VisitId visit, const std::string& reason) override;
  void store(ShardId shard, std::vector<Response> responses) override;
  void give_up(ShardId shard, std::vector<Response> responses) override;
  void store_overrides(ShardId shard, const ShardOverrides& overrides) override;
  void record(const LedgerEntry& entry) override;
  void warn(const std::string& event) override;

  void send(AgentId agent, const AgentOrder& order);
  void to_worker(SlotId slot, const WorkerOrder& order);
  void start_agents();
  void stop_agents(bool at_once);
  void step();
  void beat();
  int run_to_the_end(bool nothing_to_do);
  bool pump_until(const std::function<bool()>& done, Moment limit);
  void flush_store();
  int stop_writing(const std::string& why);
  void on_report(AgentId agent, AgentReport report);
  void on(AgentId agent, const AgentHello& report);
  bool all_agents_here() const { return hosts_.size() == static_cast<std::size_t>(mpi_.size()); }
  void refuse_gangs_without_a_place();
  void on(AgentId agent, const AgentFailed& report);
  void on(AgentId agent, FromWorker& report);
  void measure(SlotId slot, const WorkerReport& report);
  void on(AgentId agent, const WorkerExited& report);
  void on(AgentId agent, Heartbeat& report);
  void on(AgentId agent, const DrainAsked& report);
  void on(AgentId, const AgentLeft&) { ++agents_left_; }
  void on_durable();
  void say(const std::string& message);
  void log(const std::string& message);
  void drain(const std::string& why);
  void show_progress(bool force);
  void write_status(const std::string& state, std::optional<int> code);
  std::string status_text(const std::string& state, std::optional<int> code) const;
  std::string manifest_text(int code) const;
  void add_forecast(nlohmann::ordered_json& manifest) const;
  static const char* state_of(int code);
  int finish();
  void report(int code) const;
  Moment now() const;
  /// Seconds since the run's first start, without the time between starts.
  double timeline_seconds() const { return earlier_seconds_ + now().count(); }

  const Work& work_;
  const RunOptions& options_;
  const RunDirectory& directory_;
  MpiSession& mpi_;
  Scoreboard scoreboard_;
  std::map<std::uint32_t, std::vector<Response>> unstored_;  // answered, not yet durable
  std::optional<Conductor> conductor_;
  std::deque<std::pair<AgentId, AgentReport>> inbox_;
  std::vector<ShardId> given_up_;  // failed for this run only: count without being stored
  int agents_left_ = 0;            // remote ranks that have answered LeaveNode
  bool agents_gone_ = true, agents_stopped_ = false;
  bool incomplete_ = false;  // some rank never said hello
  Agent local_agent_;
  StoreThread store_thread_;
  ProgressView view_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  PatientClock clock_;  // the conductor's
  Moment last_status_{-1}, last_view_{-1}, last_beat_{-1}, drain_until_{0};
  double total_flops_ = 0;
  std::string drain_reason_, refused_;
  Fault refused_fault_ = Fault::internal;
  std::map<std::uint32_t, ShardOverrides> overrides_;  // of shards that do not run as planned
  std::vector<std::string> events_;
  std::vector<nlohmann::ordered_json> ledger_;
  std::vector<std::string> hosts_;
  std::vector<std::uint32_t> workers_;  // of each host
  std::uint64_t tokens_ = 0;
  double busy_seconds_ = 0;
  struct RunningAssignment {
    ShardId shard;
    std::uint32_t attempt = 0;
    double begin = 0;
  };
  std::map<std::uint32_t, RunningAssignment> assignments_;  // by visit
  struct OpenedVisit {
    ModuleId module;
    double at = 0;
  };
  std::map<std::uint32_t, OpenedVisit> opened_;  // by visit
  std::map<SlotId, double> started_;             // workers that are not ready yet
  double earlier_seconds_ = 0;                   // of earlier starts of this run
  std::vector<bool> answered_before_;            // shards, by then
  Forecast forecast_;
  Calibration measured_;
};

}  // namespace proctor
