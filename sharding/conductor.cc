#include "sharding/conductor.h"

#include <algorithm>

#include "sharding/error.h"
#include "sharding/placement.h"

namespace proctor {
namespace {
constexpr std::uint32_t kOpenFailures = 2;  // gangs that may fail to load a module before its requests are failed
constexpr Moment kStartDeadline{60};
}  // namespace

Conductor::Conductor(Options options, std::vector<ModuleOutlook> modules, std::vector<Shard> shards, Door& door)
    : options_(std::move(options)),
      door_(door),
      modules_(std::move(modules)),
      shards_(std::move(shards)),
      schedule_(modules_, shards_),
      roster_(kStartDeadline),
      attempts_(shards_.size()),
      state_(shards_.size(), ShardState::waiting),
      open_failures_(modules_.size(), 0),
      unanswered_(modules_.size(), 0),
      unstored_(shards_.size()),
      next_visit_(options_.first_visit.value) {
  for (const Shard& shard : shards_) ++unanswered_[shard.module.value];
}

void Conductor::restore_answered(ShardId shard) {
  PROCTOR_CHECK(state_[shard.value] == ShardState::waiting, "a shard is restored once, before the run");
  state_[shard.value] = ShardState::stored;
  schedule_.withdraw(shard);
  --unanswered_[shards_[shard.value].module.value];
  --unstored_;
}

void Conductor::on_agent(AgentId agent, const std::string& host, std::uint32_t slots, Moment now) {
  roster_.on_agent(agent, host, slots, now);
  on_tick(now);
}

void Conductor::on_report(SlotId slot, std::uint32_t incarnation, WorkerReport report, Moment now) {
  if (roster_.at(slot).incarnation != incarnation) return;  // from a worker that has been replaced
  if (std::holds_alternative<WorkerReady>(report)) {
    if (roster_.at(slot).state == SlotState::starting) roster_.on_ready(slot);
  } else {
    Visit* visit = visit_of(slot);
    std::visit(
        [&](auto& body) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(body)>, WorkerReady>)
            if (visit && visit->id() == body.visit) handle(slot, *visit, body, now);
        },
        report);
  }
  hand_out(now);
}

void Conductor::handle(SlotId slot, Visit& visit, const Progress& report, Moment now) {
  visit.on_progress(*visit.member(slot), report.unit, report.counter, now);
}

void Conductor::handle(SlotId, Visit& visit, const GangAddress& report, Moment) {
  if (visit.state() != VisitState::opening) return;
  for (std::uint32_t m = 0; m < visit.size(); ++m) door_.join(visit.slot(m), visit.id(), report.address);
}

void Conductor::handle(SlotId slot, Visit& visit, const VisitOpened&, Moment now) {
  if (visit.on_opened(*visit.member(slot), now)) open_failures_[visit.module().value] = 0;
}

void Conductor::handle(SlotId slot, Visit& visit, const OpenFailed& report, Moment now) {
  if (visit.state() != VisitState::opening) return;
  const ModuleId module = visit.module();
  const std::string who = visit.size() > 1 ? name_of(slot) + ": " : "";
  abort(visit.id(), "load failed: " + who + report.message, Blame::nobody, now);
  count_open_failure(module, report.message);
}

/// A module that two visits in a row could not load, and that no gang holds, fails its requests by name. That is not
/// stored as an answer: with more memory, or a mended file system, the same command computes them.
void Conductor::count_open_failure(ModuleId module, const std::string& why) {
  if (++open_failures_[module.value] < kOpenFailures || held(module)) return;
  schedule_.drop(module);
  door_.warn("module " + name(module) + " could not be loaded " + std::to_string(kOpenFailures) +
             " times in a row; its requests fail: " + why);
  for (std::uint32_t s = 0; s < shards_.size(); ++s)
    if (shards_[s].module == module && state_[s] == ShardState::waiting)
      fail_requests(ShardId{s}, name(module) + " cannot be loaded: " + why, Durable::no);
}

bool Conductor::held(ModuleId module) const {
  return std::ranges::any_of(visits_, [&](const auto& entry) {
    const VisitState state = entry.second.state();
    return entry.second.module() == module && state != VisitState::opening && state != VisitState::aborting;
  });
}

void Conductor::handle(SlotId, Visit& visit, ShardAnswered& report, Moment now) {
  if (visit.shard() != report.shard || visit.attempt() != report.attempt) return;
  const Shard& shard = shards_[report.shard.value];
  if (report.responses.size() != shard.requests.size()) {
    const std::string reason = "shard " + std::to_string(report.shard.value) + ": " +
                               std::to_string(report.responses.size()) + " answers for " +
                               std::to_string(shard.requests.size()) + " requests";
    return abort(visit.id(), reason, Blame::shard, now);
  }
  visit.on_shard_done(now);
  if (state_[report.shard.value] != ShardState::running) return;
  state_[report.shard.value] = ShardState::answered;
  --unanswered_[shard.module.value];
  door_.store(report.shard, std::move(report.responses));
}

/// Whatever went wrong may still be wrong in these processes, so they are replaced; but out of memory is only that.
void Conductor::handle(SlotId, Visit& visit, const ShardFailed& report, Moment now) {
  if (visit.shard() != report.shard || visit.attempt() != report.attempt) return;
  if (report.out_of_memory) return out_of_memory(visit, report, now);
  abort(visit.id(), "shard " + std::to_string(report.shard.value) + ": " + report.message, Blame::shard, now);
}

void Conductor::out_of_memory(Visit& visit, const ShardFailed& report, Moment now) {
  const ShardId shard = report.shard;
  const std::string reason = "shard " + std::to_string(shard.value) + ": " + report.message;
  visit.on_shard_done(now);
  bool fresh = false;
  switch (attempts_.on_out_of_memory(shard)) {
    case Attempts::Next::fresh_worker:
      door_.warn(reason + "; it runs again in a fresh worker");
      run_again(shard);
      fresh = true;
      break;
    case Attempts::Next::halved:
      door_.warn(reason + "; it runs again with batches of half the tokens");
      door_.store_level(shard, attempts_.level(shard));
      run_again(shard);
      break;
    case Attempts::Next::again:
    case Attempts::Next::set_aside:
      set_aside(shard, "out of memory at every batch size: " + report.message);
      break;
  }
  if (report.gang_broken) return abort(visit.id(), reason, Blame::nobody, now);
  if (!fresh) return;
  visit.recycle("out of memory in shard " + std::to_string(shard.value));
  close(visit, now);
}

void Conductor::handle(SlotId slot, Visit& visit, const Quiesced& report, Moment now) {
  switch (visit.on_quiesced(*visit.member(slot), report.ok)) {
    case Visit::Agreement::pending:
      return;
    case Visit::Agreement::abort:
      return abort(visit.id(), name_of(slot) + " is not fit for an orderly teardown: " + report.message, Blame::nobody,
                   now);
    case Visit::Agreement::orderly:
      break;
  }
  visit.on_tearing_down(now);
  for (std::uint32_t m = 0; m < visit.size(); ++m) door_.tear_down(visit.slot(m), visit.id());
}

void Conductor::handle(SlotId slot, Visit& visit, const VisitClosed& report, Moment now) {
  if (!visit.on_closed(*visit.member(slot), report.row)) return;
  if (visit.verdict(0) == Verdict::aborted)
    end_aborted(visit.id(), now);
  else
    end(visit.id(), now);
}

std::string Conductor::name_of(SlotId slot) const {
  return "worker " + std::to_string(slot.slot) + " on " + roster_.host(slot.agent);
}

void Conductor::on_exit(SlotId slot, std::uint32_t incarnation, bool ordered, const std::string& how, Moment now) {
  if (roster_.at(slot).incarnation != incarnation) return;
  if (roster_.at(slot).state == SlotState::waiting || roster_.at(slot).state == SlotState::quarantined) return;
  Visit* visit = visit_of(slot);
  const std::optional<ShardId> shard = visit ? visit->shard() : std::nullopt;
  const std::string who = name_of(slot) + " died: " + how;
  door_.warn(who);
  roster_.on_death(slot, shard ? &*shard : nullptr, how, dispensable(slot), now);
  if (roster_.at(slot).state == SlotState::quarantined) door_.warn(who + "; its device is quarantined for this run");
  if (visit) {
    const bool opening = visit->state() == VisitState::opening, aborting = visit->state() == VisitState::aborting;
    const ModuleId module = visit->module();
    const VisitId id = visit->id();
    const bool last = visit->on_gone(*visit->member(slot));
    if (aborting && last) end_aborted(id, now);
    if (!aborting) abort(id, who, ordered ? Blame::nobody : Blame::shard, now);
    if (opening && !ordered) count_open_failure(module, who);
  }
  start_due(now);  // not on_tick: after a stall, news of progress may still wait behind this event
  hand_out(now);
}

void Conductor::on_stored(ShardId shard, Moment now) {
  PROCTOR_CHECK(state_[shard.value] == ShardState::answered, "only an answered shard is stored, once");
  state_[shard.value] = ShardState::stored;
  --unstored_;
  hand_out(now);
}

void Conductor::on_tick(Moment now) {
  std::vector<std::pair<VisitId, Late>> late;
  for (const auto& [id, visit] : visits_)
    if (auto found = visit.late(now)) late.emplace_back(id, std::move(*found));
  for (const auto& [id, found] : late) on_late(id, found, now);
  for (SlotId slot : roster_.too_late_to_start(now)) {
    door_.kill(slot);
    roster_.on_death(slot, nullptr, "did not start in time", dispensable(slot), now);
  }
  start_due(now);
  hand_out(now);
}

/// The members furthest behind are killed; the others take the abort path.
void Conductor::on_late(VisitId id, const Late& late, Moment now) {
  Visit& visit = visits_.at(id);
  const ModuleId module = visit.module();
  std::string who;
  for (std::uint32_t member : late.members) who += (who.empty() ? "" : " or ") + name_of(visit.slot(member));
  const std::string reason = who + " is past its " + late.what + " deadline (last announced: " + late.unit + ")";
  door_.warn("visit " + std::to_string(id.value) + " of " + name(module) + ": " + reason +
             "; its workers are replaced");
  if (visit.state() == VisitState::aborting) {
    bool last = false;
    for (std::uint32_t member : late.members) {
      kill(visit, member, now);
      last = visit.on_gone(member);
    }
    if (last) end_aborted(id, now);
    return;
  }
  const bool opening = visit.state() == VisitState::opening;
  abort(id, reason, late.what == "progress" ? Blame::shard : Blame::nobody, now, late.members);
  if (opening) count_open_failure(module, reason);
}

void Conductor::start_due(Moment now) {
  if (finished()) return;
  for (SlotId slot : roster_.take_due(now)) door_.start(slot, roster_.at(slot).incarnation);
}

bool Conductor::finished() const { return (unstored_ == 0 || draining_) && visits_.empty(); }

std::optional<std::string> Conductor::stuck() const {
  if (unstored_ == 0 || roster_.size() == 0 || !visits_.empty()) return std::nullopt;
  const auto usable = roster_.nodes([](SlotId, const SlotRecord& r) { return r.state != SlotState::quarantined; });
  std::string wanting;
  for (std::uint32_t m = 0; m < modules_.size(); ++m) {
    if (unanswered_[m] == 0) continue;
    if (place_gang(usable, modules_[m].tensor_parallel, options_.reach)) return std::nullopt;
    wanting = name(ModuleId{m});
  }
  if (wanting.empty()) return std::nullopt;  // only the store is being waited for
  if (roster_.count(SlotState::quarantined) == roster_.size()) return "no worker is left that can start";
  return "too few workers are left for the gang of module " + wanting;
}

std::uint32_t Conductor::widest_place(std::uint32_t most) const {
  const auto all = roster_.nodes([](SlotId, const SlotRecord&) { return true; });
  while (most > 0 && !place_gang(all, most, options_.reach)) --most;
  return most;
}

/// Every module with work could still be placed without this slot.
bool Conductor::dispensable(SlotId slot) const {
  const auto rest =
      roster_.nodes([&](SlotId id, const SlotRecord& r) { return id != slot && r.state != SlotState::quarantined; });
  for (std::uint32_t m = 0; m < modules_.size(); ++m)
    if (unanswered_[m] > 0 && !place_gang(rest, modules_[m].tensor_parallel, options_.reach)) return false;
  return true;
}

Visit* Conductor::visit_of(SlotId slot) {
  for (auto& [id, visit] : visits_)
    if (visit.member(slot)) return &visit;
  return nullptr;
}

void Conductor::hand_out(Moment now) {
  std::vector<VisitId> serving;
  for (const auto& [id, visit] : visits_)
    if (visit.state() == VisitState::serving && !visit.shard()) serving.push_back(id);
  for (VisitId id : serving) feed(visits_.at(id), now);
  while (open_one(now)) {
  }
}

void Conductor::feed(Visit& visit, Moment now) {
  const auto shard = draining_ ? std::nullopt : schedule_.take(visit.module());
  if (!shard) {
    if (draining_ || needed_elsewhere(visit)) close(visit, now);
    return;
  }
  state_[shard->value] = ShardState::running;
  const std::uint32_t attempt = attempts_.begin(*shard);
  const Moment unit = visit.on_shard(*shard, attempt, now, expected_seconds(*shard));
  for (std::uint32_t m = 0; m < visit.size(); ++m)
    door_.run(visit.slot(m), {visit.id(), *shard, attempt, attempts_.level(*shard), unit});
}

/// A gang without shards keeps its module only while a lost shard of it might come back and nobody else wants it.
bool Conductor::needed_elsewhere(const Visit& visit) const {
  if (unanswered_[visit.module().value] == 0) return true;
  return schedule_.choose(visit.module(), [](ModuleId) { return true; }).has_value();
}

bool Conductor::open_one(Moment now) {
  if (draining_) return false;
  const std::vector<NodeSlots> free = unreserved_slots();
  const auto place = [&](ModuleId m) { return place_gang(free, modules_[m.value].tensor_parallel, options_.reach); };
  const auto module = schedule_.choose(std::nullopt, [&](ModuleId m) { return place(m).has_value(); });
  if (!module) return false;
  const std::vector<SlotId> slots = *place(*module);
  const VisitId id{next_visit_++};
  std::vector<Seat> seats;
  for (SlotId slot : slots) {
    roster_.on_busy(slot);
    seats.push_back({slot, roster_.at(slot).incarnation});
  }
  visits_.emplace(id, Visit(id, *module, seats, now, options_.deadlines));
  schedule_.on_gang_opening(*module);
  door_.open(slots, id, *module);
  return true;
}

/// Free slots, less those kept for a wide module that nobody serves and whose gang the devices could soon form: else
/// narrow ones would take them one by one, for ever.
std::vector<NodeSlots> Conductor::unreserved_slots() const {
  auto free = roster_.nodes([](SlotId, const SlotRecord& r) { return r.state == SlotState::free; });
  const auto wanted = schedule_.choose(std::nullopt, [](ModuleId) { return true; });
  if (!wanted || !schedule_.unserved(*wanted)) return free;
  const std::uint32_t width = modules_[wanted->value].tensor_parallel;
  if (width == 1 || place_gang(free, width, options_.reach)) return free;
  const auto soon = roster_.nodes([&](SlotId id, const SlotRecord& r) { return frees_soon(id, r); });
  for (SlotId kept : place_gang(soon, width, options_.reach).value_or(std::vector<SlotId>{}))
    for (NodeSlots& node : free)
      if (node.agent == kept.agent) node.free[kept.slot] = false;
  return free;
}

/// Free, on its way to being so, or held by a gang that has no more shards to take.
bool Conductor::frees_soon(SlotId slot, const SlotRecord& record) const {
  if (record.state != SlotState::busy) return record.state != SlotState::quarantined;
  return std::ranges::none_of(visits_, [&](const auto& entry) {
    const Visit& visit = entry.second;
    return visit.member(slot) && visit.state() <= VisitState::serving && schedule_.has_unassigned(visit.module());
  });
}

void Conductor::close(Visit& visit, Moment now) {
  visit.on_closing(now);
  for (std::uint32_t m = 0; m < visit.size(); ++m) door_.close(visit.slot(m), visit.id());
}

void Conductor::end(VisitId id, Moment now) {
  const Visit visit = std::move(visits_.at(id));
  visits_.erase(id);
  schedule_.on_gang_gone(visit.module());
  const Verdict verdict = visit.verdict(options_.leak_tolerance_bytes, forgiven_);
  std::set<std::string> unclean;
  for (std::uint32_t m = 0; m < visit.size(); ++m) unclean.insert(end_member(visit, m, verdict, now));
  unclean.erase("");
  forgive(unclean);
}

/// Records the member's row and frees or replaces its worker. Returns the cache counter that was unclean, or "".
std::string Conductor::end_member(const Visit& visit, std::uint32_t member, Verdict verdict, Moment now) {
  const SlotId slot = visit.slot(member);
  const LedgerRow row = visit.row(member).value_or(LedgerRow{});
  const auto found = dirt(row, options_.leak_tolerance_bytes, forgiven_);
  std::string why = found ? found->text : visit.reason();
  if (verdict == Verdict::recycled && why.empty()) why = "another member's device is unclean";
  door_.record({visit.module(), visit.id(), slot, visit.incarnation(member), member, visit.size(), verdict, why, row});
  if (verdict == Verdict::clean) {
    roster_.on_free(slot);
    return "";
  }
  if (visit.reason().empty())
    door_.warn("visit " + std::to_string(visit.id().value) + " of " + name(visit.module()) +
               " left its device unclean (" + why + "); the worker is replaced");
  door_.kill(slot);
  roster_.on_replaced(slot, now);
  return found && !found->exact ? found->counter : "";
}

/// Twice running for the same cache counter: fresh workers do not help, so it no longer costs one.
void Conductor::forgive(const std::set<std::string>& counters) {
  for (const std::string& counter : counters) {
    if (++recycled_for_[counter] < 2) continue;
    forgiven_.insert(counter);
    door_.warn("workers were replaced twice running for " + counter + "; from here on it is only recorded");
  }
  std::erase_if(recycled_for_, [&](const auto& entry) { return !counters.contains(entry.first); });
}

/// The shard is free for others at once. Members that can still speak measure and answer; those that hang are killed.
void Conductor::abort(VisitId id, const std::string& reason, Blame blame, Moment now,
                      std::span<const std::uint32_t> hung) {
  Visit& visit = visits_.at(id);
  const auto shard = visit.shard();
  visit.on_aborting(now, reason);
  schedule_.on_gang_gone(visit.module());
  if (shard && state_[shard->value] == ShardState::running) {
    if (blame == Blame::shard)
      strike(*shard, reason);
    else
      run_again(*shard);
  }
  for (std::uint32_t member : hung) {
    kill(visit, member, now);
    visit.on_gone(member);
  }
  bool spoken_to = false;
  for (std::uint32_t m = 0; m < visit.size(); ++m) {
    if (!visit.here(m) || visit.row(m)) continue;
    door_.abort(visit.slot(m), id, reason);
    spoken_to = true;
  }
  if (!spoken_to) end_aborted(id, now);
}

void Conductor::kill(Visit& visit, std::uint32_t member, Moment now) {
  door_.kill(visit.slot(member));
  roster_.on_replaced(visit.slot(member), now);
}

void Conductor::end_aborted(VisitId id, Moment now) {
  Visit visit = std::move(visits_.at(id));
  visits_.erase(id);
  for (std::uint32_t m = 0; m < visit.size(); ++m) {
    const SlotId slot = visit.slot(m);
    door_.record({visit.module(), id, slot, visit.incarnation(m), m, visit.size(), Verdict::aborted, visit.reason(),
                  visit.row(m).value_or(LedgerRow{})});
    if (visit.here(m)) kill(visit, m, now);  // the others died, or were killed
  }
}

void Conductor::run_again(ShardId shard) {
  state_[shard.value] = ShardState::waiting;
  schedule_.give_back(shard);
}

void Conductor::strike(ShardId shard, const std::string& reason) {
  if (attempts_.on_strike(shard) == Attempts::Next::set_aside) return set_aside(shard, reason);
  run_again(shard);
}

void Conductor::set_aside(ShardId shard, const std::string& reason) {
  door_.warn("shard " + std::to_string(shard.value) + " of " + name(shards_[shard.value].module) +
             " is set aside: " + reason);
  fail_requests(shard, reason, Durable::yes);
}

Moment Conductor::expected_seconds(ShardId shard) const {
  const Shard& planned = shards_[shard.value];
  return Moment(planned.flops * modules_[planned.module.value].seconds_per_flop);
}

void Conductor::fail_requests(ShardId shard, const std::string& reason, Durable durable) {
  state_[shard.value] = ShardState::answered;
  --unanswered_[shards_[shard.value].module.value];
  std::vector<Response> failed(shards_[shard.value].requests.size(), Response{nullptr, reason});
  if (durable == Durable::yes)
    door_.store(shard, std::move(failed));
  else
    door_.give_up(shard, std::move(failed));
}

}  // namespace proctor
