// The conductor's failure ladder: loads that fail, deaths, hangs, out of memory, the abort path, strikes.
#include <algorithm>

#include "sharding/conductor/conductor.h"
#include "sharding/protocol/error.h"

namespace proctor {
void Conductor::handle(SlotId slot, Visit& visit, const OpenFailed& report, Moment now) {
  if (visit.state() != VisitState::opening) return;
  const ModuleId module = visit.module();
  const std::string who = visit.size() > 1 ? name_of(slot) + ": " : "";
  abort(visit.id(), "load failed: " + who + report.message, std::nullopt, now);
  on_load_failed(module, slot, EndedBy::itself, report.message);
}

/// A node that twice running could not load a module is not asked for it again, while others are or a gang holds it.
void Conductor::on_load_failed(ModuleId module, SlotId slot, EndedBy by, const std::string& why) {
  if (by == EndedBy::order || (by == EndedBy::outside && !outside_kills_[module.value].counts())) return;
  FailedLoads& failed = failed_loads_[module][slot.agent];
  failed.why = why;
  if (++failed.in_a_row != kFailedLoads) return;
  reconsider_ = true;
  if (!give_up_without_a_node(module))
    executor_.warn("node " + roster_.host(slot.agent) + " could not load module " + name(module) + " " +
                   std::to_string(kFailedLoads) + " times in a row and is not asked for it again: " + why);
}

void Conductor::forget_failed_loads(const Visit& visit) {
  const auto module = failed_loads_.find(visit.module());
  if (module == failed_loads_.end()) return;
  for (std::uint32_t m = 0; m < visit.size(); ++m)
    if (const auto node = module->second.find(visit.slot(m).agent);
        node != module->second.end() && !node->second.lacking)
      module->second.erase(node);
  if (module->second.empty()) failed_loads_.erase(module);
}

/// A module that no node can load, and that no gang holds, fails its requests by name. That is not stored as an answer:
/// with more memory, or a mended file system, the same command computes them. True if it is given up here.
bool Conductor::give_up_without_a_node(ModuleId module) {
  const auto all = roster_.nodes([](SlotId, const SlotRecord&) { return true; });
  if (all.size() < options_.agents || !has_work(module) || held(module) || place(all, module)) return false;
  const std::uint32_t width = modules_[module.value].tensor_parallel;
  if (!place_gang(all, width, options_.reach)) return false;  // for want of workers, not of loads
  std::string reasons;
  for (const auto& [agent, failed] : failed_loads_[module])
    if (roster_.knows(agent) && failed.in_a_row >= kFailedLoads)
      reasons +=
          (reasons.empty() ? "" : "; ") + (all.size() > 1 ? "node " + roster_.host(agent) + ": " : "") + failed.why;
  failed_loads_.erase(module);
  schedule_.drop(module);
  reconsider_ = true;
  executor_.warn("module " + name(module) + " could not be loaded " +
                 (all.size() > 1 ? "on any node" : std::to_string(kFailedLoads) + " times in a row") +
                 "; its requests fail: " + reasons);
  for (std::uint32_t s = 0; s < shards_.size(); ++s)
    if (shards_[s].module == module && state_[s] == ShardState::waiting)
      fail_requests(ShardId{s}, name(module) + " cannot be loaded: " + reasons, Durable::no);
  return true;
}

bool Conductor::held(ModuleId module) const {
  return std::ranges::any_of(visits_, [&](const auto& entry) {
    const VisitState state = entry.second.state();
    return entry.second.module() == module && !entry.second.suspended() && state != VisitState::opening &&
           state != VisitState::aborting;
  });
}

/// Whatever went wrong may still be wrong in these processes, so they are replaced; but out of memory is only that.
void Conductor::handle(SlotId slot, Visit& visit, const ShardFailed& report, Moment now) {
  if (visit.shard() != report.shard || visit.attempt() != report.attempt) return;
  const std::string reason = name_of(slot) + ", shard " + std::to_string(report.shard.value) + ": " + report.message;
  if (report.out_of_memory) return out_of_memory(visit, report, reason, now);
  abort(visit.id(), reason, visit.member(slot), now);
}

void Conductor::out_of_memory(Visit& visit, const ShardFailed& report, const std::string& reason, Moment now) {
  const ShardId shard = report.shard;
  const bool held = holds_shard(visit);
  visit.on_shard_done(now);
  hungry_.insert(visit.id());
  bool fresh = false;
  if (held) switch (attempts_.on_out_of_memory(shard)) {
      case Attempts::Next::fresh_worker:
        executor_.warn(reason + "; it runs again in a fresh worker");
        run_again(shard);
        fresh = true;
        break;
      case Attempts::Next::halved:
        executor_.warn(reason + "; it runs again with batches of half the tokens");
        executor_.store_overrides(shard, attempts_.overrides(shard));
        run_again(shard);
        break;
      default:
        set_aside(shard, "out of memory at every batch size: " + report.message);
        break;
    }
  if (report.gang_broken) return abort(visit.id(), reason, std::nullopt, now);
  if (!fresh) return;
  visit.recycle("out of memory in shard " + std::to_string(shard.value));
  close(visit, now);
}

void Conductor::on_exit(SlotId slot, std::uint32_t incarnation, EndedBy by, const std::string& how, Moment now) {
  on_heard(slot.agent, now);
  flush_unmeasured(slot, incarnation, nullptr);
  const SlotRecord& record = roster_.at(slot);
  if (record.incarnation != incarnation) return;
  if (record.state == SlotState::waiting || record.state >= SlotState::parked) return;
  if (record.state == SlotState::starting && record.occupant.is_guest()) {
    start_failed(slot, how, now);
    start_due(now);
    return assign(now);
  }
  if (const auto arrival = arrival_of(slot); arrival != arrivals_.end()) call_off(arrival, now);
  Visit* visit = visit_of(slot);
  const std::optional<ShardId> shard = visit ? visit->shard() : std::nullopt;
  const std::string who = name_of(slot) + " died: " + how + (by == EndedBy::outside ? ", from outside" : "");
  if (!visit || visit->state() == VisitState::aborting) executor_.warn(who);
  if (by == EndedBy::outside && record.state == SlotState::busy)
    roster_.on_replaced(slot, now);  // no failure of its device
  else
    roster_.on_death(slot, shard ? &*shard : nullptr, how, dispensable(slot), now);
  if (record.state == SlotState::quarantined) executor_.lost(who + "; its device is quarantined for this run");
  if (visit) {
    const bool opening = visit->state() == VisitState::opening, aborting = visit->state() == VisitState::aborting;
    const ModuleId module = visit->module();
    const VisitId id = visit->id();
    const std::uint32_t member = *visit->member(slot);
    const bool last = visit->on_gone(member);
    const bool struck = by == EndedBy::itself || (by == EndedBy::outside && shard && attempts_.on_outside_kill(*shard));
    if (aborting && last) end_aborted(id, now);
    if (!aborting) abort(id, who, struck ? std::optional(member) : std::nullopt, now);
    if (opening) on_load_failed(module, slot, by, who);
  }
  start_due(now);  // not on_tick: after a stall, news of progress may still wait behind this event
  assign(now);
}

void Conductor::on_unreadable(SlotId slot, std::uint32_t incarnation, const std::string& why, Moment now) {
  if (roster_.at(slot).incarnation != incarnation) return;
  const std::string reason = name_of(slot) + " sent a message that cannot be read (" + why + ")";
  Visit* visit = visit_of(slot);
  if (!visit || visit->state() == VisitState::aborting) {
    executor_.warn(reason + "; it is killed");
    return executor_.kill(slot);
  }
  const ModuleId module = visit->module();
  const bool opening = visit->state() == VisitState::opening;
  const std::uint32_t member = *visit->member(slot);
  abort(visit->id(), reason, member, now, {&member, 1});
  if (opening) on_load_failed(module, slot, EndedBy::itself, reason);
  start_due(now);
  assign(now);
}

/// The members furthest behind are killed; the others take the abort path.
void Conductor::on_late(VisitId id, const Late& late, Moment now) {
  Visit& visit = visits_.at(id);
  const ModuleId module = visit.module();
  std::string who;
  for (std::uint32_t member : late.members) who += (who.empty() ? "" : " or ") + name_of(visit.slot(member));
  const std::string reason = who + " is past its " + late.what + " deadline (last announced: " + late.unit + ")";
  if (visit.state() == VisitState::aborting) {
    executor_.warn(name_of(visit) + ": " + reason + "; killed");
    bool last = false;
    for (std::uint32_t member : late.members) last = kill(visit, member, now);
    if (last) end_aborted(id, now);
    return;
  }
  const bool opening = visit.state() == VisitState::opening;
  const SlotId first = visit.slot(late.members.front());
  const auto culprit = late.what == "progress" ? std::optional(late.members.front()) : std::nullopt;
  abort(id, reason, culprit, now, late.members);
  if (opening) on_load_failed(module, first, EndedBy::itself, reason);
}

/// Twice running for the same cache counter: fresh workers do not help, so it no longer costs one.
void Conductor::tolerate(const std::set<std::string>& counters) {
  for (const std::string& counter : counters) {
    if (++recycled_for_[counter] < 2) continue;
    tolerated_.insert(counter);
    executor_.warn("workers were replaced twice running for " + counter + "; from here on it is only recorded");
  }
  std::erase_if(recycled_for_, [&](const auto& entry) { return !counters.contains(entry.first); });
}

/// The shard is free for others at once. Members that can still speak measure and answer; those that hang are killed.
void Conductor::abort(VisitId id, const std::string& reason, std::optional<std::uint32_t> culprit, Moment now,
                      std::span<const std::uint32_t> hung) {
  Visit& visit = visits_.at(id);
  executor_.warn(name_of(visit) + (visit.closing() && is_guest(visit.module()) ? " is ended" : " is aborted") + ": " +
                 reason + "; its workers are replaced");
  const auto lost = holds_shard(visit) ? visit.shard() : std::nullopt;
  const bool answered = visit.closing();
  visit.on_aborting(now, reason);
  if (answered && is_guest(visit.module())) visit.recycle(reason);  // ended from outside, as it would be anyway
  if (!visit.suspended()) gang_gone(visit);
  if (lost && culprit) strike(*lost, visit.slot(*culprit), visit.place(*culprit), reason);
  if (lost && !culprit) run_again(*lost);
  for (std::uint32_t member : hung) kill(visit, member, now);
  std::vector<SlotId> measuring;  // here, and not measured yet
  for (std::uint32_t m = 0; m < visit.size(); ++m)
    if (visit.here(m) && !visit.row(m)) measuring.push_back(visit.slot(m));
  if (measuring.empty())
    end_aborted(id, now);
  else
    executor_.abort(measuring, id, reason);
}

/// Its worker is replaced at once. True when nobody is left of an aborted visit.
bool Conductor::kill(Visit& visit, std::uint32_t member, Moment now) {
  executor_.kill(visit.slot(member));
  roster_.on_replaced(visit.slot(member), occupant_after(visit, member), now);
  return visit.on_gone(member);
}

void Conductor::end_aborted(VisitId id, Moment now) {
  Visit visit = std::move(visits_.at(id));
  visits_.erase(id);
  unpark(id, now);
  const Verdict verdict = visit.aborted() ? Verdict::aborted : Verdict::recycled;
  for (std::uint32_t m = 0; m < visit.size(); ++m) {
    record(visit, m, verdict, visit.reason());
    if (visit.here(m)) kill(visit, m, now);  // the others died, or were killed
  }
}

void Conductor::run_again(ShardId shard) {
  state_[shard.value] = ShardState::waiting;
  schedule_.give_back(shard);
  reconsider_ = true;
}

void Conductor::strike(ShardId shard, SlotId device, const BatchPlace& at, const std::string& reason) {
  const std::string who = name_of(shard);
  switch (attempts_.on_strike(shard, device, usable_slots(), at, reason)) {
    case Attempts::Next::isolated:
      executor_.warn(who + ": its third strike, in batch " + std::to_string(*at.batch + 1) + ", " + reason +
                     "; that batch is run request by request from here on");
      executor_.store_overrides(shard, attempts_.overrides(shard));
      return run_again(shard);
    case Attempts::Next::request_set_aside:
      executor_.warn(who + ": request " + std::to_string(shards_[shard.value].requests[*at.request]) +
                     " is set aside: alone in its batch, " + reason);
      executor_.store_overrides(shard, attempts_.overrides(shard));
      return run_again(shard);
    case Attempts::Next::shard_set_aside:
      return set_aside(shard, reason);
    default:
      return run_again(shard);
  }
}

void Conductor::set_aside(ShardId shard, const std::string& reason) {
  executor_.warn(name_of(shard) + " is set aside: " + reason);
  fail_requests(shard, reason, Durable::yes);
}

void Conductor::fail_requests(ShardId shard, const std::string& reason, Durable durable) {
  state_[shard.value] = ShardState::answered;
  if (--unanswered_[shards_[shard.value].module.value] == 0) reconsider_ = true;
  std::vector<Response> failed(shards_[shard.value].requests.size(), Response{{}, reason});
  if (durable == Durable::yes)
    executor_.store(shard, std::move(failed));
  else
    executor_.give_up(shard, std::move(failed));
}

}  // namespace proctor
