// The conductor's guests: slots are given the program that a module needs, and what agents see of it from outside is
// joined to its visit.
#include <algorithm>
#include <iterator>
#include <utility>

#include "sharding/conductor/conductor.h"
#include "sharding/conductor/placement.h"

namespace proctor {
namespace {
constexpr Moment kOutside{5};  // for an agent to look at what a guest left, and to end it
}

/// A wide guest is one process, in the first of its slots.
std::span<const SlotId> Conductor::members_of(const Arrival& arrival) const {
  const std::span<const SlotId> slots(arrival.slots);
  return is_guest(arrival.module) ? slots.first(1) : slots;
}

/// Where its program runs already, if that is somewhere free; else anywhere.
std::optional<std::vector<SlotId>> Conductor::place_near_its_program(std::span<const NodeSlots> free,
                                                                     ModuleId module) const {
  std::vector<NodeSlots> running(free.begin(), free.end());
  for (NodeSlots& node : running)
    for (std::uint32_t s = 0; s < node.free.size(); ++s)
      node.free[s] = node.free[s] && roster_.at({node.agent, s}).occupant == modules_[module.value].occupant;
  auto found = place(running, module);
  return found ? found : place(free, module);
}

/// Its program runs in a free slot: a guest takes long to start, so it goes on with another module of its own.
bool Conductor::a_guest_waits_for(ModuleId module) const {
  const Occupant wanted = modules_[module.value].occupant;
  if (!wanted.is_guest()) return false;
  for (const NodeSlots& node : roster_.free_nodes())
    for (std::uint32_t s = 0; s < node.free.size(); ++s)
      if (node.free[s] && roster_.at({node.agent, s}).occupant == wanted) return true;
  return false;
}

/// Members that run another program are replaced; the gang opens when the last of them is here.
void Conductor::receive(Arrival arrival, Moment now) {
  const Occupant wanted = modules_[arrival.module.value].occupant;
  const std::size_t members = members_of(arrival).size();
  for (std::size_t i = 0; i < arrival.slots.size(); ++i) {
    const SlotId slot = arrival.slots[i];
    if (i >= members) {
      executor_.kill(slot);
      roster_.on_parked(slot);
    } else if (roster_.at(slot).occupant == wanted) {
      roster_.on_busy(slot);
    } else {
      executor_.kill(slot);
      roster_.on_replaced(slot, wanted, now);
    }
  }
  const SlotId first = arrival.slots.front();
  open_if_here(arrivals_.emplace(first, std::move(arrival)).first, now);
  start_due(now);
}

void Conductor::open_if_here(std::map<SlotId, Arrival>::iterator arrival, Moment now) {
  const std::span<const SlotId> slots = members_of(arrival->second);
  if (!std::ranges::all_of(slots, [&](SlotId slot) { return roster_.at(slot).state == SlotState::busy; })) return;
  if (draining_) return call_off(arrival, now);
  const ModuleId module = arrival->second.module;
  const bool guest = is_guest(module);
  const VisitId id{next_visit_++};
  std::vector<Member> members;
  for (SlotId slot : slots) {
    latest_visit_[slot] = id;
    members.push_back({slot, roster_.at(slot).incarnation});
  }
  Deadlines deadlines = options_.deadlines;
  if (guest) deadlines.load = deadlines.guest_load, deadlines.teardown += kOutside;
  visits_.emplace(id, Visit(id, module, members, now, deadlines, guest ? Visit::By::guest : Visit::By::worker));
  if (slots.size() < arrival->second.slots.size())
    parked_for_[id] = {arrival->second.slots.begin() + 1, arrival->second.slots.end()};
  executor_.open(slots, id, module);
  arrivals_.erase(arrival);
}

void Conductor::on_ready(SlotId slot, Moment now) {
  roster_.on_ready(slot);
  const auto arrival = arrival_of(slot);
  if (arrival == arrivals_.end()) return;
  roster_.on_busy(slot);
  open_if_here(arrival, now);
}

std::map<SlotId, Conductor::Arrival>::iterator Conductor::arrival_of(SlotId slot) {
  return std::ranges::find_if(arrivals_, [&](const auto& entry) {
    return std::ranges::find(entry.second.slots, slot) != entry.second.slots.end();
  });
}

/// Those that are here are free again; those that still start become so.
void Conductor::call_off(std::map<SlotId, Arrival>::iterator arrival, Moment now) {
  for (SlotId slot : arrival->second.slots) {
    if (roster_.at(slot).state == SlotState::busy) roster_.on_free(slot);
    if (roster_.at(slot).state == SlotState::parked) roster_.on_replaced(slot, Occupant{}, now);
  }
  schedule_.on_gang_gone(arrival->second.module);
  arrivals_.erase(arrival);
  reconsider_ = true;
}

/// A guest that does not start is its module's fault, not its device's: proctor's worker takes its place.
void Conductor::start_failed(SlotId slot, const std::string& how, Moment now) {
  const auto arrival = arrival_of(slot);
  const auto module = arrival == arrivals_.end() ? std::nullopt : std::optional(arrival->second.module);
  if (arrival != arrivals_.end()) call_off(arrival, now);
  if (!roster_.at(slot).occupant.is_guest()) {
    roster_.on_death(slot, nullptr, how, dispensable(slot), now);
    if (roster_.at(slot).state == SlotState::quarantined)
      executor_.lost(name_of(slot) + " " + how + "; its device is quarantined for this run");
    return;
  }
  roster_.on_replaced(slot, Occupant{}, now);
  const std::string why = "its engine did not start: " + how;
  executor_.warn(name_of(slot) + ": " + (module ? "module " + name(*module) + ": " : "") + why);
  if (module) on_load_failed(*module, slot, EndedBy::itself, why);
}

void Conductor::unpark(VisitId visit, Moment now) {
  const auto parked = parked_for_.extract(visit);
  if (parked.empty()) return;
  for (SlotId slot : parked.mapped()) roster_.on_replaced(slot, Occupant{}, now);
}

/// A guest whose module has no more shards makes room for proctor's worker.
Occupant Conductor::occupant_after(const Visit& visit, std::uint32_t member) const {
  const Occupant occupant = roster_.at(visit.slot(member)).occupant;
  return occupant.is_guest() && !schedule_.has_unassigned(visit.module()) ? Occupant{} : occupant;
}

void Conductor::on_measured(SlotId slot, std::uint32_t incarnation, VisitId id, const OutsideMeasures& measures) {
  std::string left;
  for (const auto* names : {&measures.left, &measures.shared_left})
    for (const std::string& one : *names) left += (left.empty() ? "" : ", ") + one;
  if (!left.empty())
    executor_.warn(name_of(slot) + ", visit " + std::to_string(id.value) + ": what the guest left was ended: " + left);
  if (Visit* visit = visit_of(slot); visit && visit->id() == id) visit->on_measured(*visit->member(slot), measures);
  flush_unmeasured(slot, incarnation, &measures);
}

/// Rows of a guest that was ended are recorded once its agent has looked (`measures`), or will not.
void Conductor::flush_unmeasured(SlotId slot, std::uint32_t incarnation, const OutsideMeasures* measures) {
  for (LedgerEntry& entry : std::exchange(unmeasured_, {})) {
    if (entry.slot != slot || entry.incarnation != incarnation) {
      unmeasured_.push_back(std::move(entry));
      continue;
    }
    if (measures) entry.row.outside = *measures;
    executor_.record(entry);
  }
}

}  // namespace proctor
