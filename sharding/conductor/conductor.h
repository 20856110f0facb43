// The run as one pure reactor: events and `now` in, commands out through the Executor. It joins roster, schedule,
// placement, attempts and visits; it has no clock and does no I/O, so tests and a simulator run what production runs.
// Owned by the orchestrator's loop (rank 0), called from that one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sharding/conductor/attempts.h"
#include "sharding/conductor/roster.h"
#include "sharding/conductor/schedule.h"
#include "sharding/conductor/visit.h"
#include "sharding/protocol/message.h"

namespace proctor {

/// One member's ledger row with what the orchestrator knows of it.
struct LedgerEntry {
  ModuleId module;
  VisitId visit;
  SlotId slot;
  std::uint32_t incarnation = 0;
  std::uint32_t member = 0, members = 1;
  Verdict verdict = Verdict::clean;
  std::string reason;  ///< why it is not clean
  LedgerRow row;
};

/// A shard handed to a gang.
struct Assignment {
  VisitId visit;
  ShardId shard;
  std::uint32_t attempt = 1;
  ShardOverrides overrides;     ///< recorded before it took effect
  Moment unit{60};              ///< what one announced unit of it may take
  std::optional<ShardId> next;  ///< the gang probably gets it afterwards
};

/// What carries out the conductor's commands. They are carried out in order.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual void start(SlotId slot, std::uint32_t incarnation, Occupant occupant) = 0;
  virtual void kill(SlotId slot) = 0;
  /// A gang, in order of rank: each loads its share of the module and answers VisitOpened or OpenFailed.
  virtual void open(std::span<const SlotId> members, VisitId visit, ModuleId module) = 0;
  virtual void join(SlotId slot, VisitId visit, const std::string& address) = 0;
  /// A shard goes to a gang; answered by ShardAnswered of member 0, or by ShardFailed.
  virtual void assign(std::span<const SlotId> members, const Assignment& assignment) = 0;
  /// Each of the members answers: Quiesced; VisitClosed; VisitClosed.
  virtual void close(std::span<const SlotId> members, VisitId visit) = 0;
  virtual void tear_down(std::span<const SlotId> members, VisitId visit) = 0;
  virtual void abort(std::span<const SlotId> members, VisitId visit, const std::string& reason) = 0;
  /// To be made durable; answer with Conductor::on_stored.
  virtual void store(ShardId shard, std::vector<Response> responses) = 0;
  /// Failed for this run only, not stored; answer with Conductor::on_stored.
  virtual void give_up(ShardId shard, std::vector<Response> responses) = 0;
  /// `halved`, `isolated` or a request excluded: to be recorded before any answer that comes of it.
  virtual void store_overrides(ShardId shard, const ShardOverrides& overrides) = 0;
  virtual void record(const LedgerEntry& entry) = 0;
  virtual void warn(const std::string& event) = 0;
  /// A warning after which a device, or a node's devices, get nothing more, for a while or for good.
  virtual void lost(const std::string& event) { warn(event); }
};

class Conductor {
 public:
  struct Options {
    Deadlines deadlines;
    std::uint64_t leak_tolerance_bytes = 16u << 20;
    VisitId first_visit;
    std::vector<std::string> module_names;  ///< for messages
    Reach reach = Reach::node;              ///< of a gang
    std::uint32_t agents = 1;               ///< that are expected; a module is given up only when all are here
  };
  Conductor(Options options, std::vector<ModuleOutlook> modules, std::vector<Shard> shards, Executor& executor);

  /// More shards, behind those that there are: of tasks whose turn comes when others are answered.
  void add(std::span<const Shard> shards);
  /// Whether such shards may still come for a module. While they may, its gang keeps it unless others want the device.
  void expect_more(ModuleId module, bool more) { schedule_.expect_more(module, more); }

  /// Before the first event, or right after add(): this shard's answer is in the store already.
  void restore_answered(ShardId shard);
  void restore_overrides(ShardId shard, ShardOverrides overrides) { attempts_.restore(shard, std::move(overrides)); }

  void on_agent(AgentId agent, const std::string& host, std::uint32_t slots, Moment now);
  /// Before its on_agent: that node has not got a module's files, and is never asked for it.
  void on_lacking(AgentId agent, ModuleId module, const std::string& why) {
    failed_loads_[module][agent] = {kFailedLoads, why, true};
  }
  /// Agents that never came are no longer expected.
  void go_on_without_the_missing() { options_.agents = 0; }
  /// Any sign of life of an agent. One that was silent for the deadline `agent` is suspect: its shards are run
  /// elsewhere and nothing new is sent to it, until it is heard again.
  void on_heard(AgentId agent, Moment now);
  void on_report(SlotId slot, std::uint32_t incarnation, WorkerReport report, Moment now);
  void on_exit(SlotId slot, std::uint32_t incarnation, EndedBy by, const std::string& how, Moment now);
  /// It sent bytes that are no message; whoever sent them is ended.
  void on_unreadable(SlotId slot, std::uint32_t incarnation, const std::string& why, Moment now);
  /// What an agent saw of a guest's visit: before its VisitClosed, or before its worker's exit.
  void on_measured(SlotId slot, std::uint32_t incarnation, VisitId visit, const OutsideMeasures& measures);
  void on_stored(ShardId shard, Moment now);
  void on_tick(Moment now);
  /// No new shards from here on; running ones finish.
  void drain() { draining_ = reconsider_ = true; }

  /// Every shard is stored (or no more are handed out) and every visit ended, but for those on silent nodes.
  bool finished() const { return over() && unmeasured_.empty(); }
  bool drained() const { return draining_ && finished(); }
  /// At the end: the visits that silent nodes still hold get their ledger rows.
  void abandon_silent();
  /// The width of the widest gang that the devices here could form, were they all free.
  std::uint32_t widest_place(std::uint32_t most) const;
  /// Asked once every agent is here: why nothing can go on (no usable worker is left, or they are on nodes that have
  /// been silent for long), or nullopt.
  std::optional<std::string> stuck(Moment now) const;
  bool has_work(ModuleId module) const { return unanswered_[module.value] > 0; }
  std::size_t unstored() const { return unstored_; }
  std::size_t busy() const { return roster_.count(SlotState::busy); }
  std::size_t slots() const { return roster_.size(); }

 private:
  enum class ShardState { waiting, running, answered, stored };
  static constexpr std::uint32_t kFailedLoads = 2;  // of a module on a node, before it is not asked for it again
  struct FailedLoads {
    std::uint32_t in_a_row = 0;
    std::string why;
    bool lacking = false;  // for good
  };

  void handle(SlotId slot, Visit& visit, const GangAddress& report, Moment now);
  void handle(SlotId slot, Visit& visit, const VisitOpened& report, Moment now);
  void handle(SlotId slot, Visit& visit, const OpenFailed& report, Moment now);
  void handle(SlotId slot, Visit& visit, ShardAnswered& report, Moment now);
  void handle(SlotId slot, Visit& visit, const ShardFailed& report, Moment now);
  void handle(SlotId slot, Visit& visit, const Quiesced& report, Moment now);
  void handle(SlotId slot, Visit& visit, const VisitClosed& report, Moment now);
  void handle(SlotId slot, Visit& visit, const Progress& report, Moment now);
  void handle(SlotId slot, Visit& visit, const Waiting&, Moment) { visit.on_waiting(*visit.member(slot)); }

  void readmit(AgentId agent, Moment now);
  void suspect(AgentId agent, Moment now);
  std::vector<std::uint32_t> silent_members(const Visit& visit) const;
  bool usable(SlotId slot, const SlotRecord& record) const {
    return record.state != SlotState::quarantined && !roster_.suspect(slot.agent);
  }
  std::size_t usable_slots() const;

  Visit* visit_of(SlotId slot) { return const_cast<Visit*>(std::as_const(*this).visit_of(slot)); }
  const Visit* visit_of(SlotId slot) const;
  bool holds_shard(const Visit& visit) const;
  void gang_gone(const Visit& visit);
  std::optional<std::vector<SlotId>> place(std::span<const NodeSlots> nodes, ModuleId module) const;
  std::string name_of(SlotId slot) const;

  // guests (conductor_guests.cc)
  struct Arrival {  ///< a gang on its way: slots of it are being given the program that its module needs
    ModuleId module;
    std::vector<SlotId> slots;
  };
  std::span<const SlotId> members_of(const Arrival& arrival) const;
  std::optional<std::vector<SlotId>> place_near_its_program(std::span<const NodeSlots> free, ModuleId module) const;
  bool a_guest_waits_for(ModuleId module) const;
  void receive(Arrival arrival, Moment now);
  void open_if_here(std::map<SlotId, Arrival>::iterator arrival, Moment now);
  void on_ready(SlotId slot, Moment now);
  void call_off(std::map<SlotId, Arrival>::iterator arrival, Moment now);
  std::map<SlotId, Arrival>::iterator arrival_of(SlotId slot);
  void start_failed(SlotId slot, const std::string& how, Moment now);
  void unpark(VisitId visit, Moment now);
  Occupant occupant_after(const Visit& visit, std::uint32_t member) const;
  bool is_guest(ModuleId module) const { return modules_[module.value].occupant.is_guest(); }
  void flush_unmeasured(SlotId slot, std::uint32_t incarnation, const OutsideMeasures* measures);

  bool over() const;  ///< nothing is computed any more; rows of guests may still be measured
  void start_due(Moment now);
  void assign(Moment now);
  void feed(Visit& visit, Moment now);
  bool open_one(Moment now);
  const std::vector<NodeSlots>& unreserved_slots(ModuleId wanted, std::vector<NodeSlots>& buffer) const;
  bool frees_soon(SlotId slot, const SlotRecord& record) const;
  bool dispensable(SlotId slot) const;
  bool needed_elsewhere(const Visit& visit) const;
  void close(Visit& visit, Moment now);
  void end(VisitId visit, Moment now);
  void record(const Visit& visit, std::uint32_t member, Verdict verdict, const std::string& reason);
  std::string end_member(Visit& visit, std::uint32_t member, Verdict verdict, Moment now);
  void tolerate(const std::set<std::string>& counters);
  /// `culprit`: the member that is to blame, and with it the shard it was computing.
  void abort(VisitId visit, const std::string& reason, std::optional<std::uint32_t> culprit, Moment now,
             std::span<const std::uint32_t> hung = {});
  bool kill(Visit& visit, std::uint32_t member, Moment now);
  void end_aborted(VisitId visit, Moment now);
  void on_late(VisitId visit, const Late& late, Moment now);
  void out_of_memory(Visit& visit, const ShardFailed& report, const std::string& reason, Moment now);
  void strike(ShardId shard, SlotId device, const BatchPlace& at, const std::string& reason);
  void set_aside(ShardId shard, const std::string& reason);
  void run_again(ShardId shard);
  enum class Durable { no, yes };
  void fail_requests(ShardId shard, const std::string& reason, Durable durable);
  void on_load_failed(ModuleId module, SlotId slot, EndedBy by, const std::string& why);
  void forget_failed_loads(const Visit& visit);
  bool give_up_without_a_node(ModuleId module);
  bool held(ModuleId module) const;
  Moment expected_seconds(ShardId shard) const;
  const std::string& name(ModuleId module) const { return options_.module_names.at(module.value); }
  std::string name_of(ShardId shard) const {
    return "shard " + std::to_string(shard.value) + " of " + name(shards_[shard.value].module);
  }
  std::string name_of(const Visit& visit) const {
    return "visit " + std::to_string(visit.id().value) + " of " + name(visit.module());
  }

  Options options_;
  Executor& executor_;
  std::vector<ModuleOutlook> modules_;
  std::vector<Shard> shards_;
  Schedule schedule_;
  Roster roster_;
  Attempts attempts_;
  std::map<VisitId, Visit> visits_;
  std::map<SlotId, Arrival> arrivals_;                 // by their first slot
  std::map<VisitId, std::vector<SlotId>> parked_for_;  // slots beside a wide guest's
  std::vector<LedgerEntry> unmeasured_;                // guests that are being ended: their agents are still looking
  std::map<SlotId, VisitId> latest_visit_;             // of each slot; it may have ended, or gone on without this slot
  std::set<VisitId> hungry_;                           // serving without a shard, to be looked at
  std::set<VisitId> idle_;   // looked at, and without a shard still: until something is reconsidered
  bool reconsider_ = false;  // shards came back, or gangs, modules or estimates changed
  std::vector<ShardState> state_;
  std::vector<VisitId> holder_;  // of each running shard
  std::map<ModuleId, std::map<AgentId, FailedLoads>> failed_loads_;
  std::vector<OutsideKills> outside_kills_;            // of each module while it was loaded, in a row
  std::vector<std::size_t> unanswered_;                // shards of each module
  std::map<std::string, std::uint32_t> recycled_for_;  // visits in a row that a counter made unclean
  std::set<std::string> tolerated_;                    // counters that no longer replace a worker
  std::size_t unstored_;
  std::uint32_t next_visit_;
  bool draining_ = false;
};

}  // namespace proctor
