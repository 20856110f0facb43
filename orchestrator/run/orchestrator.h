// The loop of rank 0: joins the conductor (decisions), the agents (their workers), the store, the scoreboard and the
// report (what is told). It never waits: messages are polled, SQLite has its own thread, scoring too; every way out has
// a deadline.
#pragma once

#include <functional>
#include <iosfwd>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "orchestrator/base/signals.h"
#include "orchestrator/planning/chain.h"
#include "orchestrator/planning/forecast.h"
#include "orchestrator/ranks/agents.h"
#include "orchestrator/ranks/patient_clock.h"
#include "orchestrator/report/run_report.h"
#include "orchestrator/retrievers/retriever_thread.h"
#include "orchestrator/run/notices.h"
#include "orchestrator/run/resume.h"
#include "orchestrator/run/run_options.h"
#include "orchestrator/scoring/scoreboard.h"
#include "orchestrator/store/run_directory.h"
#include "orchestrator/store/store_thread.h"
#include "sharding/conductor/conductor.h"

namespace proctor {

/// What a run stands on, so that tests can put their own in its place. All outlive the orchestrator.
struct Surroundings {
  Transport& transport;
  std::function<Moment()> now;     ///< seconds since this start; never stands still
  std::function<Asked()> asked;    ///< what signals ask for
  std::ostream& terminal;          ///< what a person reads meanwhile
  std::ostream& results;           ///< what is printed at the end
  std::filesystem::path learned;   ///< the calibration file
  Interpreters interpreters = {};  ///< of tasks over answers
  Notices* notices = nullptr;      ///< who is told of losses and the end
};

class Orchestrator final : private Executor {
 public:
  /// `lock`: nullptr in tests.
  Orchestrator(Work& work, const RunOptions& options, const RunDirectory& directory, RunStore& store, RunLock* lock,
               Surroundings surroundings, Resumed resumed);
  /// Runs to the end; returns the exit code.
  int run();

 private:
  // Executor
  void start(SlotId slot, std::uint32_t incarnation, Occupant occupant) override;
  void kill(SlotId slot) override { agents_.send(slot.agent, KillWorker{slot.slot}); }
  void open(std::span<const SlotId> members, VisitId visit, ModuleId module) override;
  void join(SlotId slot, VisitId visit, const std::string& address) override {
    agents_.to_workers({&slot, 1}, JoinGang{visit, address});
  }
  void assign(std::span<const SlotId> members, const Assignment& assignment) override;
  void close(std::span<const SlotId> members, VisitId visit) override {
    agents_.to_workers(members, CloseVisit{visit});
  }
  void tear_down(std::span<const SlotId> members, VisitId visit) override {
    agents_.to_workers(members, TearDown{visit});
  }
  void abort(std::span<const SlotId> members, VisitId visit, const std::string& reason) override {
    agents_.to_workers(members, AbortVisit{visit, reason});
  }
  void store(ShardId shard, std::vector<Response> responses) override;
  void give_up(ShardId shard, std::vector<Response> responses) override;
  void store_overrides(ShardId shard, const ShardOverrides& overrides) override;
  void record(const LedgerEntry& entry) override;
  void warn(const std::string& event) override { report_.event(event); }
  void lost(const std::string& event) override;

  // reports
  void on(AgentId agent, const AgentHello& hello);
  void on(AgentId agent, const AgentFailed& failure);
  void on(AgentId agent, FromWorker& report);
  void on(AgentId agent, const WorkerExited& exit);
  void on(AgentId agent, const Measured& measured);
  void on(AgentId agent, Heartbeat& beat);
  void on(AgentId agent, const DrainAsked& asked);
  void on(AgentId, const AgentLeft&) {}
  void refuse_gangs_without_a_place() const;
  /// Now, or when others are answered.
  bool has_work(ModuleId module) const { return conductor_.has_work(module) || chain_.may_get_work(module); }
  bool all_answered() const { return conductor_.unstored() == 0 && here_.empty() && chain_.done(); }

  // the loop, and its ways out
  int run_to_the_end();
  void step();
  bool goes_on();
  void on_durable();
  void drain(const std::string& why);
  bool pump_until(const std::function<bool()>& done, Moment limit);
  void flush_store();
  int finish();
  int stop_writing(const std::string& why);
  void fail(const std::exception& error);
  void tell_end(int code, const std::string& message);

  // tasks over answers
  void count(ShardId shard, std::vector<Response> responses);
  void plan_what_is_ready();
  void expect_more();
  bool restore(ShardId shard);

  // modules without a model (orchestrator_retrievers.cc)
  bool is_computed_here(ShardId shard) const;
  void compute_here(ShardId shard);
  void take_what_was_computed_here();

  std::vector<Request> requests_of(ShardId shard) const;
  const ImageOptions& image_of(ShardId shard) const;
  RunReport::Standing standing() const {
    return {conductor_.busy(), conductor_.slots(), conductor_.unstored() + here_.size()};
  }
  Moment now() const { return surroundings_.now(); }

  Work& work_;
  const RunOptions& options_;
  const RunDirectory& directory_;
  Surroundings surroundings_;
  Agents agents_;
  StoreThread store_thread_;
  Scoreboard scoreboard_;
  Forecast forecast_;
  Chain chain_;
  RunReport report_;
  Conductor conductor_;
  PatientClock clock_;  // the conductor's
  RetrieverThread retrievers_;
  std::set<ShardId> here_;                                      // of modules without a model, not yet durable
  std::map<ShardId, std::vector<Response>> unstored_;           // answered, not yet durable
  std::map<std::string, std::string> later_, later_overrides_;  // of earlier starts, by hashes of shards to come
  std::vector<ShardId> given_up_;                               // failed for this run only: count without being stored
  std::map<VisitId, std::optional<ShardId>> sent_ahead_;  // the shard whose requests a visit's workers have already
  std::string drain_reason_;
  Moment drain_until_{0};
  bool incomplete_ = false;  // some rank never said hello
};

}  // namespace proctor
