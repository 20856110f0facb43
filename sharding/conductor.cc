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

void Conductor::handle(SlotId slot, Visit& visit, const VisitOpened&, Moment now) {
  if (visit.on_opened(*visit.member(slot), now)) open_failures_[visit.module().value] = 0;
}

void Conductor::handle(SlotId, Visit& visit, const OpenFailed& report, Moment now) {
  const ModuleId module = visit.module();
  abort(visit.id(), "load failed: " + report.message, false, now);
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
    return entry.second.module() == module && entry.second.state() != VisitState::opening;
  });
}

void Conductor::handle(SlotId, Visit& visit, ShardAnswered& report, Moment now) {
  if (visit.shard() != report.shard) return;
  visit.on_shard_done(now);
  if (state_[report.shard.value] != ShardState::running) return;
  const Shard& shard = shards_[report.shard.value];
  if (report.responses.size() != shard.requests.size()) {
    const std::string reason = "shard " + std::to_string(report.shard.value) + ": " +
                               std::to_string(report.responses.size()) + " answers for " +
                               std::to_string(shard.requests.size()) + " requests";
    strike(report.shard, reason);
    abort(visit.id(), reason, false, now);
    return;
  }
  state_[report.shard.value] = ShardState::answered;
  --unanswered_[shard.module.value];
  door_.store(report.shard, std::move(report.responses));
}

void Conductor::handle(SlotId, Visit& visit, const ShardFailed& report, Moment now) {
  if (visit.shard() != report.shard) return;
  visit.on_shard_done(now);
  const std::string reason = "shard " + std::to_string(report.shard.value) + ": " + report.message;
  if (!report.out_of_memory) {  // whatever went wrong may still be wrong in this process: it is replaced
    strike(report.shard, reason);
    return abort(visit.id(), reason, false, now);
  }
  if (attempts_.on_out_of_memory(report.shard) == Attempts::Next::set_aside)
    return set_aside(report.shard, "out of memory at every batch size: " + report.message);
  door_.warn(reason + "; it runs again with batches of half the tokens");
  door_.store_level(report.shard, attempts_.level(report.shard));
  state_[report.shard.value] = ShardState::waiting;
  schedule_.give_back(report.shard);
}

void Conductor::handle(SlotId slot, Visit& visit, const VisitClosed& report, Moment now) {
  if (visit.on_closed(*visit.member(slot), report.row)) end(visit.id(), now);
}

void Conductor::on_exit(SlotId slot, std::uint32_t incarnation, bool ordered, const std::string& how, Moment now) {
  if (roster_.at(slot).incarnation != incarnation) return;
  if (roster_.at(slot).state == SlotState::waiting || roster_.at(slot).state == SlotState::quarantined) return;
  Visit* visit = visit_of(slot);
  const std::optional<ShardId> shard = visit ? visit->shard() : std::nullopt;
  const std::string who = "worker " + std::to_string(slot.slot) + " on " + roster_.host(slot.agent) + " died: " + how;
  door_.warn(who);
  roster_.on_death(slot, shard ? &*shard : nullptr, how, now);
  if (roster_.at(slot).state == SlotState::quarantined) door_.warn(who + "; its device is quarantined for this run");
  if (visit) {
    const bool opening = visit->state() == VisitState::opening;
    const ModuleId module = visit->module();
    abort(visit->id(), who, !ordered, now);
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
  std::vector<VisitId> late;
  for (const auto& [id, visit] : visits_)
    if (visit.late(now)) late.push_back(id);
  for (VisitId id : late) {
    const std::string what = *visits_.at(id).late(now);
    door_.warn("visit " + std::to_string(id.value) + " of " + name(visits_.at(id).module()) + " is past its " + what +
               " deadline; its workers are replaced");
    const ModuleId module = visits_.at(id).module();
    abort(id, "past its " + what + " deadline", what == "progress", now);
    if (what == "load") count_open_failure(module, "past its load deadline");
  }
  for (SlotId slot : roster_.too_late_to_start(now)) {
    door_.kill(slot);
    roster_.on_death(slot, nullptr, "did not start in time", now);
  }
  start_due(now);
  hand_out(now);
}

void Conductor::start_due(Moment now) {
  if (finished()) return;
  for (SlotId slot : roster_.take_due(now)) door_.start(slot, roster_.at(slot).incarnation);
}

bool Conductor::finished() const { return (unstored_ == 0 || draining_) && visits_.empty(); }

std::optional<std::string> Conductor::stuck() const {
  if (unstored_ == 0 || roster_.size() == 0 || roster_.any_usable()) return std::nullopt;
  return "no worker is left that can start";
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
  visit.on_shard(*shard, now, expected_seconds(*shard));
  for (SlotId slot : visit.members()) door_.run(slot, visit.id(), *shard, attempt, attempts_.level(*shard));
}

/// A gang without shards keeps its module only while a lost shard of it might come back and nobody else wants it.
bool Conductor::needed_elsewhere(const Visit& visit) const {
  if (unanswered_[visit.module().value] == 0) return true;
  return schedule_.choose(visit.module(), [](ModuleId) { return true; }).has_value();
}

bool Conductor::open_one(Moment now) {
  if (draining_) return false;
  const auto module = schedule_.choose(
      std::nullopt, [&](ModuleId m) { return place_gang(modules_[m.value].tensor_parallel).has_value(); });
  if (!module) return false;
  const std::uint32_t width = modules_[module->value].tensor_parallel;
  const std::vector<SlotId> slots = *place_gang(width);
  const VisitId id{next_visit_++};
  visits_.emplace(id, Visit(id, *module, slots, now, options_.deadlines));
  schedule_.on_gang_opening(*module);
  for (std::uint32_t rank = 0; rank < width; ++rank) {
    roster_.on_busy(slots[rank]);
    door_.open(slots[rank], id, *module, rank, width);
  }
  return true;
}

std::optional<std::vector<SlotId>> Conductor::place_gang(std::uint32_t width) const {
  for (AgentId agent : roster_.agents())
    if (const auto slots = place(roster_.free_slots(agent), width)) {
      std::vector<SlotId> gang;
      for (std::uint32_t slot : *slots) gang.push_back({agent, slot});
      return gang;
    }
  return std::nullopt;
}

void Conductor::close(Visit& visit, Moment now) {
  visit.on_closing(now);
  for (SlotId slot : visit.members()) door_.close(slot, visit.id());
}

void Conductor::end(VisitId id, Moment now) {
  const Visit visit = std::move(visits_.at(id));
  visits_.erase(id);
  schedule_.on_gang_gone(visit.module());
  const Verdict verdict = visit.verdict(options_.leak_tolerance_bytes);
  for (std::uint32_t m = 0; m < visit.members().size(); ++m) {
    const SlotId slot = visit.members()[m];
    const auto& row = visit.rows()[m];
    const auto why = row ? dirt(*row, options_.leak_tolerance_bytes) : std::nullopt;
    door_.record(
        {visit.module(), id, slot, roster_.at(slot).incarnation, verdict, why.value_or(""), row.value_or(LedgerRow{})});
    if (verdict == Verdict::clean) {
      roster_.on_free(slot);
      continue;
    }
    door_.warn("visit " + std::to_string(id.value) + " of " + name(visit.module()) + " left its device unclean (" +
               why.value_or("another member's") + "); the worker is replaced");
    door_.kill(slot);
    roster_.on_replaced(slot, now);
  }
}

void Conductor::abort(VisitId id, const std::string& reason, bool by_itself, Moment now) {
  Visit visit = std::move(visits_.at(id));
  visits_.erase(id);
  schedule_.on_gang_gone(visit.module());
  if (const auto shard = visit.shard(); shard && state_[shard->value] == ShardState::running) {
    if (by_itself) {
      strike(*shard, reason);
    } else {
      state_[shard->value] = ShardState::waiting;
      schedule_.give_back(*shard);
    }
  }
  for (std::uint32_t m = 0; m < visit.members().size(); ++m) {
    const SlotId slot = visit.members()[m];
    door_.record({visit.module(), id, slot, roster_.at(slot).incarnation, Verdict::aborted, reason,
                  visit.rows()[m].value_or(LedgerRow{})});
    if (roster_.at(slot).state != SlotState::busy) continue;  // the one that died; the roster knows
    door_.kill(slot);
    roster_.on_replaced(slot, now);
  }
}

void Conductor::strike(ShardId shard, const std::string& reason) {
  if (attempts_.on_strike(shard) == Attempts::Next::set_aside) return set_aside(shard, reason);
  state_[shard.value] = ShardState::waiting;
  schedule_.give_back(shard);
}

void Conductor::set_aside(ShardId shard, const std::string& reason) {
  door_.warn("shard " + std::to_string(shard.value) + " of " + name(shards_[shard.value].module) +
             " is set aside: " + reason);
  fail_requests(shard, reason, Durable::yes);
}

/// Slower than estimated is no hang: 20 times the estimate is allowed where that is more than the deadline.
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
