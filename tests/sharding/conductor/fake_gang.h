// Workers in virtual time behind an Executor: each works through units (load, batches, teardown), some of them
// collective, announces each and answers as worker/visit/worker.cc does. A fault can be planted at any unit of any
// member. The real conductor drives them; what it must never do is checked here.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <queue>
#include <set>

#include "sharding/conductor/conductor.h"

namespace proctor {

enum class Harm {
  exception,      ///< thrown in this unit, caught by the worker's loop
  out_of_memory,  ///< the typed one
  kill,           ///< SIGKILL
  stop,           ///< SIGSTOP: nothing more is said, nothing more is heard
  silence,        ///< hung for long, then goes on: a late member
  leak            ///< bytes left behind at the end of the visit
};

struct PlantedFault {
  std::uint32_t slot = 0;
  std::string unit;
  Harm harm = Harm::kill;
  std::uint32_t occurrence = 1;  ///< the how manieth time this slot comes to this unit
};

class FakeGang final : public Executor {
 public:
  struct Plan {
    std::uint32_t slots = 2;
    std::vector<std::uint32_t> widths;        // of each module
    std::vector<std::uint32_t> shard_counts;  // of each module
    std::vector<PlantedFault> faults;
  };
  static constexpr double kLongWait = 1;  // seconds in a collective after which a member says that it waits
  static constexpr double kLateBy = 25;   // seconds that a silent member is silent, past every deadline below

  explicit FakeGang(Plan plan) : plan_(std::move(plan)), workers_(plan_.slots) {
    std::vector<ModuleOutlook> outlooks;
    Conductor::Options options;
    options.deadlines.load = options.deadlines.progress = options.deadlines.teardown = Deadlines::Seconds(5);
    options.first_visit = VisitId{1};
    std::vector<Shard> shards;
    for (std::uint32_t m = 0; m < plan_.widths.size(); ++m) {
      outlooks.push_back({plan_.widths[m], 1e-3, 1e-6});
      options.module_names.push_back("m" + std::to_string(m));
      for (std::uint32_t s = 0; s < plan_.shard_counts[m]; ++s) shards.push_back({ModuleId{m}, TaskId{0}, {0}, 1.0});
    }
    total_ = shards.size();
    conductor_.emplace(std::move(options), std::move(outlooks), std::move(shards), *this);
  }

  /// Runs to the end; false if there was none in `limit` seconds.
  bool run(double limit = 2000) {
    conductor_->on_agent(AgentId{0}, "node", plan_.slots, Moment(0));
    while (!conductor_->finished() && now_ < limit) {
      const double tick = now_ + 0.25;
      if (events_.empty() || events_.top().at > tick) {
        now_ = tick;
        conductor_->on_heard(AgentId{0}, Moment(now_));
        conductor_->on_tick(Moment(now_));
        continue;
      }
      const Event event = events_.top();
      events_.pop();
      now_ = event.at;
      if (event.stored)
        conductor_->on_stored(*event.stored, Moment(now_));
      else if (workers_[event.slot].incarnation == event.incarnation)
        step(event.slot);
    }
    return conductor_->finished();
  }

  std::map<std::uint32_t, std::string> answers;  // shard -> error, or ""
  std::vector<LedgerEntry> ledger;
  std::vector<std::string> warnings;
  std::size_t total() const { return total_; }
  std::size_t planted() const { return struck_; }  // faults that came to pass

 private:
  struct Work {
    enum class Kind { open, run, close, tear_down } kind;
    VisitId visit;
    Assignment assignment;
    std::vector<std::string> units;
  };
  struct Worker {
    std::uint32_t incarnation = 0;
    bool alive = false, stopped = false, clean = true, starting = false;
    double silent_until = 0, came = 0;  // came: to the collective that it waits in
    std::deque<Work> orders;
    std::size_t unit = 0;  // of orders.front(): announced, or to be
    bool announced = false, failed = false, shard_failed = false;
    std::uint64_t counter = 0, leaked = 0;
    std::optional<VisitId> visit;
    std::uint32_t rank = 0, size = 1;
    std::uint32_t collectives = 0;
    std::map<std::string, std::uint32_t> met;
  };
  struct Event {
    double at;
    std::uint64_t order;
    std::uint32_t slot, incarnation;
    std::optional<ShardId> stored;
    bool operator<(const Event& other) const { return std::tie(at, order) > std::tie(other.at, other.order); }
  };

  static bool collective(const std::string& unit) {
    return unit == "form gang" || unit.starts_with("batch") || unit == "end step" || unit == "teardown communicators";
  }
  void at(double seconds, std::uint32_t slot) {
    events_.push({now_ + seconds, order_++, slot, workers_[slot].incarnation, std::nullopt});
  }
  void report(std::uint32_t slot, WorkerReport body) {
    conductor_->on_report({AgentId{0}, slot}, workers_[slot].incarnation, std::move(body), Moment(now_));
  }

  // ---- Executor
  void start(SlotId slot, std::uint32_t incarnation, Occupant) override {
    Worker& worker = workers_[slot.slot];
    EXPECT_FALSE(worker.alive) << "slot " << slot.slot << " is started over a living worker";
    auto met = std::move(worker.met);
    worker = {};
    worker.incarnation = incarnation;
    worker.alive = worker.starting = true;
    worker.met = std::move(met);
    at(0.4, slot.slot);
  }
  void kill(SlotId slot) override {
    workers_[slot.slot].alive = false;
    workers_[slot.slot].orders.clear();
  }
  void open(std::span<const SlotId> members, VisitId visit, ModuleId) override {
    for (std::uint32_t rank = 0; rank < members.size(); ++rank) {
      Worker& worker = workers_[members[rank].slot];
      EXPECT_TRUE(worker.alive && worker.clean && !worker.visit) << "a device that was not measured clean is used";
      worker.visit = visit;
      worker.rank = rank;
      worker.size = static_cast<std::uint32_t>(members.size());
      worker.collectives = worker.counter = 0;
      order(members[rank], {Work::Kind::open, visit, {}, {"form gang", "read 1", "read 2"}});
    }
  }
  void join(SlotId, VisitId, const std::string&) override {}
  void assign(std::span<const SlotId> members, const Assignment& assignment) override {
    for (SlotId slot : members)
      order(slot, {Work::Kind::run, assignment.visit, assignment, {"batch 1", "batch 2", "end step"}});
  }
  void close(std::span<const SlotId> members, VisitId visit) override {
    for (SlotId slot : members) order(slot, {Work::Kind::close, visit, {}, {"teardown synchronize"}});
  }
  void tear_down(std::span<const SlotId> members, VisitId visit) override {
    for (SlotId slot : members)
      order(slot, {Work::Kind::tear_down,
                   visit,
                   {},
                   {"teardown drop_batches", "teardown communicators", "teardown drop_weights",
                    "teardown clear_workspaces", "teardown empty_caches", "teardown measure"}});
  }
  void abort(std::span<const SlotId> members, VisitId visit, const std::string&) override {
    for (SlotId slot : members) abort_member(slot, visit);
  }
  /// Acted upon by the reader thread: whatever runs is left, unless the process cannot act at all.
  void abort_member(SlotId slot, VisitId visit) {
    Worker& worker = workers_[slot.slot];
    if (!worker.alive || worker.stopped || worker.silent_until > now_) return;
    EXPECT_EQ(worker.visit, visit);
    worker.orders.clear();
    worker.clean = false;
    worker.orders.push_back({Work::Kind::tear_down, visit, {}, {}});
    at(0.01, slot.slot);
  }
  void store(ShardId shard, std::vector<Response> responses) override {
    EXPECT_FALSE(answers.contains(shard.value)) << "shard " << shard.value << " is stored twice";
    answers[shard.value] = responses.at(0).error;
    events_.push({now_ + 0.01, order_++, 0, 0, shard});
  }
  void give_up(ShardId shard, std::vector<Response> responses) override { store(shard, std::move(responses)); }
  void store_overrides(ShardId, const ShardOverrides&) override {}
  void record(const LedgerEntry& entry) override { ledger.push_back(entry); }
  void warn(const std::string& event) override { warnings.push_back(event); }

  void order(SlotId slot, Work work) {
    Worker& worker = workers_[slot.slot];
    if (!worker.alive) return;  // it died; its exit is on the way up
    worker.orders.push_back(std::move(work));
    at(0.001, slot.slot);
  }

  // ---- a worker's life
  const PlantedFault* fault_at(std::uint32_t slot, const std::string& unit) {
    const std::uint32_t met = ++workers_[slot].met[unit];
    for (const PlantedFault& fault : plan_.faults)
      if (fault.slot == slot && fault.unit == unit && fault.occurrence == met) return &fault;
    return nullptr;
  }

  void step(std::uint32_t slot) {
    Worker& worker = workers_[slot];
    if (!worker.alive || worker.stopped || worker.silent_until > now_) return;
    if (worker.starting) {
      worker.starting = false;
      return report(slot, WorkerReady{1, {}});
    }
    if (worker.orders.empty()) return;
    Work& work = worker.orders.front();
    if (worker.unit >= work.units.size()) return finish(slot);
    const std::string unit = work.units[worker.unit];
    if (!worker.announced) {
      worker.announced = true;
      if (collective(unit)) ++worker.collectives;
      report(slot, Progress{work.visit, unit, ++worker.counter});
      if (const PlantedFault* fault = fault_at(slot, unit); fault && suffer(slot, *fault)) return;
      if (collective(unit)) {
        worker.came = now_;
        at(kLongWait, slot);
        for (std::uint32_t other = 0; other < workers_.size(); ++other) at(0.01, other);
        return;
      }
      return at(0.01, slot);
    }
    if (collective(unit) && !all_here(worker)) {
      if (now_ >= worker.came + kLongWait) report(slot, Waiting{work.visit});
      return;
    }
    worker.announced = false;
    ++worker.unit;
    at(0.001, slot);
  }

  bool all_here(const Worker& mine) const {
    std::uint32_t there = 0;
    for (const Worker& other : workers_) there += other.visit == mine.visit && other.collectives >= mine.collectives;
    return there == mine.size;
  }

  /// True if the unit ends here.
  bool suffer(std::uint32_t slot, const PlantedFault& fault) {
    Worker& worker = workers_[slot];
    ++struck_;
    switch (fault.harm) {
      case Harm::leak:
        worker.leaked = 4096;
        return false;
      case Harm::stop:
        worker.stopped = true;
        return true;
      case Harm::silence:
        worker.silent_until = now_ + kLateBy;
        at(kLateBy + 0.001, slot);
        return true;
      case Harm::kill:
        die(slot, "signal 9 (Killed)");
        return true;
      case Harm::exception:
      case Harm::out_of_memory:
        fail(slot, fault.harm == Harm::out_of_memory);
        return true;
    }
    return true;
  }

  void die(std::uint32_t slot, const std::string& how) {
    workers_[slot].alive = false;
    workers_[slot].orders.clear();
    conductor_->on_exit({AgentId{0}, slot}, workers_[slot].incarnation, EndedBy::itself, how, Moment(now_));
  }

  void fail(std::uint32_t slot, bool out_of_memory) {
    Worker& worker = workers_[slot];
    const Work work = worker.orders.front();
    next_order(worker);
    switch (work.kind) {
      case Work::Kind::open:
        worker.clean = false;
        return report(slot, OpenFailed{work.visit, "environment", "thrown"});
      case Work::Kind::run:
        if (out_of_memory) return leave_step(work);
        worker.clean = false;
        return report(slot,
                      ShardFailed{work.visit, work.assignment.shard, work.assignment.attempt, false, false, "thrown"});
      case Work::Kind::close:
        worker.clean = false;
        return report(slot, Quiesced{work.visit, false, "thrown"});
      case Work::Kind::tear_down:
        return die(slot, "exit code 1");  // the worker's loop ends with what teardown throws
    }
  }

  /// All members leave the step together.
  void leave_step(const Work& work) {
    std::uint32_t collectives = 0;
    for (const Worker& worker : workers_)
      if (worker.visit == work.visit) collectives = std::max(collectives, worker.collectives);
    for (std::uint32_t slot = 0; slot < workers_.size(); ++slot) {
      Worker& worker = workers_[slot];
      if (worker.visit != work.visit || !worker.alive || worker.stopped) continue;
      worker.collectives = collectives;
      if (!worker.orders.empty() && worker.orders.front().kind == Work::Kind::run) next_order(worker);
      report(slot,
             ShardFailed{work.visit, work.assignment.shard, work.assignment.attempt, true, false, "out of memory"});
    }
  }

  static void next_order(Worker& worker) {
    if (!worker.orders.empty()) worker.orders.pop_front();
    worker.unit = 0;
    worker.announced = false;
  }

  void finish(std::uint32_t slot) {
    Worker& worker = workers_[slot];
    const Work work = worker.orders.front();
    next_order(worker);
    at(0.001, slot);
    switch (work.kind) {
      case Work::Kind::open:
        return report(slot, VisitOpened{work.visit, 0.1});
      case Work::Kind::run:
        if (worker.rank == 0)
          report(slot, ShardAnswered{work.visit, work.assignment.shard, work.assignment.attempt, {Response{}}, 1, 0.1});
        return;
      case Work::Kind::close:
        return report(slot, Quiesced{work.visit, true, ""});
      case Work::Kind::tear_down:
        break;
    }
    LedgerRow row;
    row.allocated_after = worker.leaked;
    worker.clean = worker.clean && worker.leaked == 0;
    worker.visit.reset();
    report(slot, VisitClosed{work.visit, row});
  }

  Plan plan_;
  std::vector<Worker> workers_;
  std::optional<Conductor> conductor_;
  std::priority_queue<Event> events_;
  std::uint64_t order_ = 0;
  double now_ = 0;
  std::size_t total_ = 0, struck_ = 0;
};

}  // namespace proctor
