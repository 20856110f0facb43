#include "sharding/simulation/simulation.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>

namespace proctor {
namespace {

constexpr double kLatency = 0.002, kStore = 0.005, kAbort = 0.1, kBeat = 1;
constexpr double kLongWait = 5;  // for another member, before a worker says so
constexpr double kRestart = 5;   // of the job, after rank 0 was killed

class World final : private Executor {
 public:
  explicit World(const Scenario& scenario) : scenario_(scenario) {
    for (std::uint32_t m = 0; m < scenario.modules.size(); ++m) {
      const SimulatedModule& module = scenario.modules[m];
      outlooks_.push_back({module.tensor_parallel, 1, module.load_s + module.teardown_s});
      add(ModuleId{m}, module.shards);
    }
    for (const SimulatedCell& cell : scenario.waiting) unplanned_.push_back(&cell);
    for (const SimulatedNode& node : scenario.nodes) {
      nodes_.emplace_back();
      for (double speed : node.speeds) nodes_.back().workers.emplace_back().speed = speed;
    }
    for (const InjectedFault& fault : scenario.faults) put(fault.at, kAlways, [this, fault] { strike(fault); });
    begin();
  }

  Outcome run() {
    while (!(conductor_->finished() && conductor_->unstored() == 0 && unplanned_.empty())) {
      std::pop_heap(events_.begin(), events_.end());
      const Event event = std::move(events_.back());
      events_.pop_back();
      now_ = event.at;
      if (event.session != kAlways && event.session != session_) continue;
      ++outcome_.events;
      event.act();
      if (now_ > scenario_.patience) {
        violate("stuck: " + std::to_string(conductor_->unstored()) + " shards are left; " +
                conductor_->stuck(Moment(now_)).value_or("the conductor sees no reason") + "; last: " + last_warning_);
        break;
      }
    }
    outcome_.makespan = now_;
    for (std::uint32_t s = 0; s < shards_.size() && outcome_.violations.empty(); ++s)
      expect(durable_[s] || given_up_.contains(s), "a shard has no answer");
    return outcome_;
  }

 private:
  void add(ModuleId module, const std::vector<SimulatedShard>& shards) {
    for (const SimulatedShard& shard : shards) {
      shards_.push_back({module, TaskId{shard.cell}, {static_cast<std::uint32_t>(shards_.size())}, shard.estimated_s});
      actual_.push_back(shard.actual_s);
      durable_.push_back(false);
    }
  }
  void tell_what_is_expected() {
    for (std::uint32_t m = 0; m < scenario_.modules.size(); ++m)
      conductor_->expect_more(ModuleId{m}, std::ranges::any_of(unplanned_, [&](const SimulatedCell* cell) {
                                return cell->module == ModuleId{m};
                              }));
  }
  /// Of the cells that wait, those whose turn has come.
  void plan_ready() {
    const auto ready = [&](const SimulatedCell* cell) {
      return std::ranges::all_of(cell->reads, [&](std::uint32_t read) { return left_[read] == 0; });
    };
    for (auto next = std::ranges::find_if(unplanned_, ready); next != unplanned_.end();
         next = std::ranges::find_if(unplanned_, ready)) {
      const SimulatedCell* cell = *next;
      unplanned_.erase(next);
      const std::size_t first = shards_.size();
      add(cell->module, cell->shards);
      conductor_->add(std::span(shards_).subspan(first));
      --left_[cell->cell];
    }
    tell_what_is_expected();
  }
  void answered(ShardId shard) {
    if (--left_[shards_[shard.value].task.value] == 0 && !unplanned_.empty()) plan_ready();
  }

  struct Worker {
    double speed = 1;
    bool alive = false, hung = false;
    bool death_untold = false;  // the conductor cannot know yet
    std::uint32_t incarnation = 0;
    std::optional<VisitId> visit;
  };
  struct Node {
    std::vector<Worker> workers;
    double silent_until = 0;
  };
  struct Gang {
    std::size_t visit;  // index into Outcome::visits
    bool computing = false;
    std::uint64_t assignment = 0;
  };
  static constexpr std::uint32_t kAlways = ~0u;
  struct Event {
    double at;
    std::uint64_t number;
    std::uint32_t session;
    std::function<void()> act;
    bool operator<(const Event& other) const {  // the earliest on top
      return at != other.at ? at > other.at : number > other.number;
    }
  };

  void put(double when, std::uint32_t session, std::function<void()> act) {
    events_.push_back({when, next_event_++, session, std::move(act)});
    std::push_heap(events_.begin(), events_.end());
  }
  void later(double delay, std::function<void()> act) { put(now_ + delay, session_, std::move(act)); }
  SimulatedVisit& log(const Gang& gang) { return outcome_.visits[gang.visit]; }
  Worker& at(SlotId slot) { return nodes_[slot.agent.value].workers[slot.slot]; }
  void violate(const std::string& what) { outcome_.violations.push_back("at " + std::to_string(now_) + " s: " + what); }
  void expect(bool holds, const char* what) {
    if (!holds) violate(what);
  }

  /// A fresh rank 0 with what is durable.
  void begin() {
    Conductor::Options options{scenario_.deadlines, 16u << 20, VisitId{next_visit_}, {}, Reach::nodes};
    for (std::size_t m = 0; m < outlooks_.size(); ++m) options.module_names.push_back("m" + std::to_string(m));
    Executor& executor = *this;
    conductor_.emplace(std::move(options), outlooks_, shards_, executor);
    for (std::uint32_t s = 0; s < shards_.size(); ++s)
      if (durable_[s]) conductor_->restore_answered(ShardId{s});
    left_.clear();
    for (std::uint32_t s = 0; s < shards_.size(); ++s) left_[shards_[s].task.value] += !durable_[s];
    for (const SimulatedCell* cell : unplanned_) left_[cell->cell] = cell->shards.size() + 1;  // and that it is planned
    plan_ready();
    for (std::uint32_t n = 0; n < nodes_.size(); ++n)
      later(session_ == 0 ? scenario_.nodes[n].arrives : 0, [this, n] {
        here_.insert(n);
        conductor_->on_agent(AgentId{n}, "node" + std::to_string(n),
                             static_cast<std::uint32_t>(nodes_[n].workers.size()), Moment(now_));
      });
    beat();
    tick();
  }

  void beat() {
    for (std::uint32_t n : here_)
      if (now_ >= nodes_[n].silent_until) conductor_->on_heard(AgentId{n}, Moment(now_));
    later(std::max(kBeat, scenario_.tick_s), [this] { beat(); });
  }
  void tick() {
    conductor_->on_tick(Moment(now_));
    later(scenario_.tick_s, [this] { tick(); });
  }

  void strike(const InjectedFault& fault) {
    Worker& worker = at(fault.slot);
    Node& node = nodes_[fault.slot.agent.value];
    switch (fault.kind) {
      case InjectedFault::Kind::slow:
        worker.speed *= fault.amount;
        return;
      case InjectedFault::Kind::silence:
        node.silent_until = std::max(node.silent_until, now_ + fault.amount);
        return;
      case InjectedFault::Kind::hang:
        if (!worker.alive) return;
        worker.hung = true;
        if (worker.visit) disturbed(*worker.visit);
        return;
      case InjectedFault::Kind::crash:
      case InjectedFault::Kind::kill:
        if (!worker.alive) return;
        worker.alive = false;
        worker.death_untold = true;
        exited(fault.slot, worker.incarnation,
               fault.kind == InjectedFault::Kind::kill ? EndedBy::outside : EndedBy::itself, "a signal");
        if (worker.visit) disturbed(*worker.visit);
        return;
      case InjectedFault::Kind::stop:
        if (conductor_->finished()) return;
        ++session_;
        here_.clear();
        gangs_.clear();
        for (Node& each : nodes_) {
          each.silent_until = 0;
          for (Worker& one : each.workers) one.alive = one.hung = false, one.visit.reset(), one.incarnation = 0;
        }
        answered_.clear();
        given_up_.clear();
        now_ += kRestart;
        begin();
        return;
    }
  }

  void disturbed(VisitId visit) {
    if (const auto found = gangs_.find(visit.value); found != gangs_.end() && log(found->second).loaded >= now_)
      ++failed_loads_[log(found->second).module.value];
    say_waiting(visit);
  }

  /// The others of a gang wait for one that does not come.
  void say_waiting(VisitId visit) {
    const auto found = gangs_.find(visit.value);
    if (found == gangs_.end() || !found->second.computing) return;
    for (SlotId member : log(found->second).members) report(member, kLongWait, Waiting{visit});
  }

  /// Reaches the conductor unless its worker is gone or hangs by then; later while its node is silent.
  void report(SlotId slot, double delay, WorkerReport body) {
    deliver(slot, at(slot).incarnation, now_ + (delay + kLatency), std::move(body), false);
  }
  void deliver(SlotId slot, std::uint32_t incarnation, double when, WorkerReport body, bool sent) {
    put(when, session_, [this, slot, incarnation, sent, body = std::move(body)]() mutable {
      const Worker& worker = at(slot);
      if (!sent && (!worker.alive || worker.hung || worker.incarnation != incarnation)) return;
      const double heard = nodes_[slot.agent.value].silent_until;
      if (heard > now_) return deliver(slot, incarnation, heard, std::move(body), true);
      conductor_->on_report(slot, incarnation, std::move(body), Moment(now_));
    });
  }
  /// Behind what it had sent before.
  void exited(SlotId slot, std::uint32_t incarnation, EndedBy by, const std::string& how) {
    tell_exit(slot, incarnation, now_ + kLatency, by, how);
  }
  void tell_exit(SlotId slot, std::uint32_t incarnation, double when, EndedBy by, const std::string& how) {
    put(when, session_, [this, slot, incarnation, by, how] {
      const double heard = nodes_[slot.agent.value].silent_until;
      if (heard > now_) return tell_exit(slot, incarnation, heard, by, how);
      conductor_->on_exit(slot, incarnation, by, how, Moment(now_));
      if (at(slot).incarnation == incarnation) at(slot).death_untold = false;
    });
  }

  // Executor
  void start(SlotId slot, std::uint32_t incarnation, Occupant) override {
    Worker& worker = at(slot);
    expect(!worker.alive, "a worker is started over a live one");
    expect(incarnation > worker.incarnation, "an incarnation is used twice");
    worker.alive = true;
    worker.hung = worker.death_untold = false;
    worker.visit.reset();
    worker.incarnation = incarnation;
    report(slot, scenario_.start_s, WorkerReady{});
  }
  void kill(SlotId slot) override {
    Worker& worker = at(slot);
    if (!worker.alive) return;
    worker.alive = false;
    exited(slot, worker.incarnation, EndedBy::order, "signal 9 (Killed)");
  }
  void open(std::span<const SlotId> members, VisitId visit, ModuleId module) override {
    expect(visit.value >= next_visit_, "a visit id is used twice");
    next_visit_ = visit.value + 1;
    expect(members.size() == scenario_.modules[module.value].tensor_parallel, "a gang has not its module's width");
    gangs_[visit.value] = {outcome_.visits.size(), false, 0};
    outcome_.visits.push_back({module, {members.begin(), members.end()}, now_, 0, 0, 0});
    const double load = scenario_.modules[module.value].load_s;
    outcome_.visits.back().loaded = now_ + load;
    for (SlotId slot : members) {
      Worker& worker = at(slot);
      expect(worker.alive || worker.death_untold, "a module is opened on a dead worker");
      expect(!worker.visit, "a module is opened on a device that was not torn down");
      worker.visit = visit;
      if (!worker.alive || worker.hung) ++failed_loads_[module.value];
      report(slot, load, VisitOpened{visit, load});
      announce(slot, visit, load);
    }
  }
  void join(SlotId, VisitId, const std::string&) override {}

  /// Units, for as long as `seconds`.
  void announce(SlotId slot, VisitId visit, double seconds) {
    const double pause = scenario_.deadlines.progress.count() / 3;
    for (double s = pause; s < seconds; s += pause)
      report(slot, s, Progress{visit, "unit", static_cast<std::uint64_t>(s), 0, -1});
  }

  void assign(std::span<const SlotId> members, const Assignment& assignment) override {
    ++outcome_.assignments;
    outcome_.last_assignment = now_;
    expect(!answered_.contains(assignment.shard.value) && !durable_[assignment.shard.value],
           "an answered shard is handed out");
    Gang& gang = gangs_.at(assignment.visit.value);
    for (SlotId slot : members)
      expect(at(slot).visit == assignment.visit, "a shard is sent to a worker without its visit");
    const SimulatedVisit& visit = log(gang);
    expect(std::ranges::equal(members, visit.members), "a shard is sent to others than its gang");
    expect(visit.module == shards_[assignment.shard.value].module, "a shard is sent to another module's gang");
    expect(!gang.computing, "a shard is sent to a gang that computes");
    gang.computing = true;
    const std::uint64_t number = ++gang.assignment;
    double speed = 1e9;
    for (SlotId member : visit.members) speed = std::min(speed, at(member).speed);
    const double seconds = actual_[assignment.shard.value] / speed;
    const auto devices = static_cast<double>(visit.members.size());
    for (SlotId member : visit.members) announce(member, assignment.visit, seconds);
    if (std::ranges::any_of(visit.members, [this](SlotId m) { return !at(m).alive || at(m).hung; }))
      say_waiting(assignment.visit);
    later(seconds, [this, assignment, number, seconds, devices] {
      const auto found = gangs_.find(assignment.visit.value);
      if (found == gangs_.end() || found->second.assignment != number || !found->second.computing) return;
      const std::vector<SlotId>& members = log(found->second).members;
      if (std::ranges::any_of(members,
                              [&](SlotId m) { return !at(m).alive || at(m).hung || at(m).visit != assignment.visit; }))
        return;
      found->second.computing = false;
      outcome_.computed_s += seconds * devices;
      report(members[0], 0,
             ShardAnswered{assignment.visit, assignment.shard, assignment.attempt, {Response{}}, 0, seconds});
    });
  }
  void close(std::span<const SlotId> members, VisitId visit) override {
    log(gangs_.at(visit.value)).closing = now_;
    for (SlotId slot : members) report(slot, kLatency, Quiesced{visit, true, ""});
  }
  void tear_down(std::span<const SlotId> members, VisitId visit) override {
    SimulatedVisit& logged = log(gangs_.at(visit.value));
    const double seconds = scenario_.modules[logged.module.value].teardown_s;
    logged.closed = now_ + seconds;
    for (SlotId slot : members) end(slot, visit, seconds);
  }
  void abort(std::span<const SlotId> members, VisitId visit, const std::string&) override {
    gangs_.at(visit.value).computing = false;
    for (SlotId slot : members) end(slot, visit, kAbort);
  }
  void end(SlotId slot, VisitId visit, double delay) {
    const std::uint32_t incarnation = at(slot).incarnation;
    later(delay, [this, slot, visit, incarnation] {
      Worker& worker = at(slot);
      if (!worker.alive || worker.hung || worker.incarnation != incarnation || worker.visit != visit) return;
      worker.visit.reset();
      report(slot, 0, VisitClosed{visit, {}});
    });
  }

  void store(ShardId shard, std::vector<Response>) override {
    expect(answered_.insert(shard.value).second && !durable_[shard.value], "a shard is answered twice");
    later(kStore, [this, shard] {
      durable_[shard.value] = true;
      answered(shard);
      conductor_->on_stored(shard, Moment(now_));
    });
  }
  void give_up(ShardId shard, std::vector<Response>) override {
    if (failed_loads_[shards_[shard.value].module.value] < 2)  // loads that did not fail as often
      violate("shard " + std::to_string(shard.value) + " is given up: " + last_warning_);
    expect(given_up_.insert(shard.value).second && answered_.insert(shard.value).second, "a shard is given up twice");
    later(0, [this, shard] {
      answered(shard);
      conductor_->on_stored(shard, Moment(now_));
    });
  }
  void store_overrides(ShardId, const ShardOverrides&) override {}
  void record(const LedgerEntry&) override {}
  void warn(const std::string& event) override { last_warning_ = event; }

  const Scenario& scenario_;
  std::vector<ModuleOutlook> outlooks_;
  std::vector<Shard> shards_;
  std::vector<double> actual_;
  std::vector<bool> durable_;
  std::vector<const SimulatedCell*> unplanned_;
  std::map<std::uint32_t, std::size_t> left_;          // shards of each cell that are not answered
  std::set<std::uint32_t> answered_, given_up_;        // in this session
  std::map<std::uint32_t, std::size_t> failed_loads_;  // of modules: on workers that died or hung
  std::vector<Node> nodes_;
  std::set<std::uint32_t> here_;
  std::map<std::uint32_t, Gang> gangs_;
  std::optional<Conductor> conductor_;
  std::vector<Event> events_;  // a heap
  std::uint64_t next_event_ = 0;
  std::uint32_t session_ = 0, next_visit_ = 1;
  double now_ = 0;
  std::string last_warning_;
  Outcome outcome_;
};

}  // namespace

void Scenario::expect_no_faults(double about_s) {
  constexpr Deadlines::Seconds kNever{1e15};
  deadlines.load = deadlines.progress = deadlines.teardown = deadlines.agent = kNever;
  tick_s = std::max(0.25, about_s / 1000);
  patience = 1000 * (about_s + 10);
}

Outcome simulate(const Scenario& scenario) { return World(scenario).run(); }

}  // namespace proctor
