// Where the conductor's gangs find a place: what is free, what is kept for a wide module, what could be formed at all.
#include <algorithm>

#include "sharding/conductor/conductor.h"
#include "sharding/conductor/placement.h"

namespace proctor {
namespace {
constexpr double kSilentDeadlines = 10;  // times the agent deadline, before nobody waits for a silent node any more
}

std::size_t Conductor::usable_slots() const {
  std::size_t n = 0;
  for (const NodeSlots& node : roster_.nodes([&](SlotId id, const SlotRecord&r) { return usable(id, r); }))
    n += static_cast<std::size_t>(std::ranges::count(node.free, true));
  return n;
}

std::optional<std::string> Conductor::stuck(Moment now) const {
  const bool busy =
      !arrivals_.empty() || std::ranges::any_of(visits_, [](const auto& entry) { return !entry.second.suspended(); });
  if (unstored_ == 0 || roster_.size() == 0 || busy) return std::nullopt;
  const Moment patience = kSilentDeadlines * options_.deadlines.agent;
  bool silent = false;
  const auto usable = roster_.nodes([&](SlotId slot, const SlotRecord& r) {
    const bool gone = roster_.suspect(slot.agent) && roster_.silent_for(slot.agent, now) > patience;
    silent = silent || gone;
    return r.state != SlotState::quarantined && !gone;
  });
  std::string wanting;
  for (std::uint32_t m = 0; m < modules_.size(); ++m) {
    if (unanswered_[m] == 0) continue;
    if (place(usable, ModuleId{m})) return std::nullopt;
    wanting = name(ModuleId{m});
  }
  if (wanting.empty()) return std::nullopt;  // only the store is being waited for
  if (silent) return "the nodes that module " + wanting + " needs have been silent for long";
  if (roster_.count(SlotState::quarantined) == roster_.size()) return "no worker is left that can start";
  return "too few workers are left for the gang of module " + wanting;
}

std::uint32_t Conductor::widest_place(std::uint32_t most) const {
  const auto all = roster_.nodes([](SlotId, const SlotRecord&) { return true; });
  while (most > 0 && !place_gang(all, most, options_.reach)) --most;
  return most;
}

/// A gang's slots, on nodes that may be asked for the module.
std::optional<std::vector<SlotId>> Conductor::place(std::span<const NodeSlots> nodes, ModuleId module) const {
  const std::uint32_t width = modules_[module.value].tensor_parallel;
  const auto failed = failed_loads_.find(module);
  if (failed == failed_loads_.end()) return place_gang(nodes, width, options_.reach);
  std::vector<NodeSlots> asked(nodes.begin(), nodes.end());
  for (NodeSlots& node : asked)
    if (const auto of_node = failed->second.find(node.agent);
        of_node != failed->second.end() && of_node->second.in_a_row >= kFailedLoads)
      node.free.assign(node.free.size(), false);
  return place_gang(asked, width, options_.reach);
}

/// Every module with work could still be placed without this slot.
bool Conductor::dispensable(SlotId slot) const {
  const auto rest = roster_.nodes([&](SlotId id, const SlotRecord& r) { return id != slot && usable(id, r); });
  for (std::uint32_t m = 0; m < modules_.size(); ++m)
    if (unanswered_[m] > 0 && !place(rest, ModuleId{m})) return false;
  return true;
}

bool Conductor::open_one(Moment now) {
  if (draining_ || roster_.count(SlotState::free) == 0) return false;
  const auto wanted = schedule_.choose(std::nullopt, [](ModuleId) { return true; });
  if (!wanted) return false;
  std::vector<NodeSlots> buffer;
  const std::vector<NodeSlots>& free = unreserved_slots(*wanted, buffer);
  std::map<std::uint32_t, bool> wide_enough;  // by width, of modules that no node failed to load
  const auto fits = [&](ModuleId m) {
    if (failed_loads_.contains(m)) return place(free, m).has_value();
    const auto [known, fresh] = wide_enough.try_emplace(modules_[m.value].tensor_parallel);
    if (fresh) known->second = place(free, m).has_value();
    return known->second;
  };
  auto module = schedule_.choose(std::nullopt, [&](ModuleId m) { return a_guest_waits_for(m) && fits(m); });
  if (!module) module = schedule_.choose(std::nullopt, fits);
  if (!module) return false;
  schedule_.on_gang_opening(*module);
  receive({*module, *place_near_its_program(free, *module)}, now);
  return true;
}

/// Free slots, less those kept for a wide module that nobody serves (`wanted`) and whose gang the devices could soon
/// form: else narrow ones would take them one by one, for ever. `buffer` holds what is returned, where they differ.
const std::vector<NodeSlots>& Conductor::unreserved_slots(ModuleId wanted, std::vector<NodeSlots>& buffer) const {
  const std::vector<NodeSlots>& free = roster_.free_nodes();
  const std::uint32_t width = modules_[wanted.value].tensor_parallel;
  if (!schedule_.unserved(wanted) || width == 1 || place(free, wanted)) return free;
  buffer = free;
  const auto soon = roster_.nodes([&](SlotId id, const SlotRecord& r) { return frees_soon(id, r); });
  for (SlotId kept : place(soon, wanted).value_or(std::vector<SlotId>{}))
    for (NodeSlots& node : buffer)
      if (node.agent == kept.agent) node.free[kept.slot] = false;
  return buffer;
}

/// Free, on its way to being so, or held by a gang that has no more shards to take.
bool Conductor::frees_soon(SlotId slot, const SlotRecord& record) const {
  if (record.state == SlotState::parked) return false;
  if (record.state != SlotState::busy || !usable(slot, record)) return usable(slot, record);
  const Visit* visit = visit_of(slot);
  return !visit || visit->state() > VisitState::serving || !schedule_.has_unassigned(visit->module());
}

}  // namespace proctor
