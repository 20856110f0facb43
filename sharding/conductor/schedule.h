// Who gets which shard. A free gang keeps its module while that has shards; else takes an unserved module (widest, then
// longest); else joins the module j with the largest gain rem_j/r_j - (rem_j + L_j)/(r_j + 1), if positive; else idles.
// Pure state: no clock, no I/O. Shards of a module go out longest first.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "sharding/planning/planner.h"
#include "sharding/protocol/ids.h"
#include "sharding/protocol/program.h"

namespace proctor {

/// What the schedule knows of a module beside its shards; seconds are estimates and only order the handing out.
struct ModuleOutlook {
  std::uint32_t tensor_parallel = 1;
  double seconds_per_flop = 1e-11;
  double load_seconds = 1;  ///< load plus teardown of what is held before
  Occupant occupant = {};   ///< what has to run in its slots
};

class Schedule {
 public:
  Schedule(std::vector<ModuleOutlook> modules, std::span<const Shard> shards);
  /// More shards, behind those that there are.
  void add(std::span<const Shard> shards);
  /// Whether shards of a module may still be added. Modules to which none come are opened first.
  void expect_more(ModuleId module, bool more) { modules_[module.value].expects_more = more; }
  bool expects_more(ModuleId module) const { return at(module).expects_more; }

  /// The module a gang holding `held` should serve next: `held` itself, another, or none. `fits` tells whether a
  /// module's width can be placed now.
  template <class Fits>
  std::optional<ModuleId> choose(std::optional<ModuleId> held, Fits&& fits) const {
    if (held && has_unassigned(*held)) return held;
    std::optional<ModuleId> best;
    for (std::uint32_t m = 0; m < modules_.size(); ++m)
      if (joinable(ModuleId{m}) && fits(ModuleId{m}) && (!best || better(ModuleId{m}, *best))) best = ModuleId{m};
    return best;
  }

  /// The longest unassigned shard, of those for which avoid(ShardId) does not hold if there are any.
  template <class Avoid>
  std::optional<ShardId> take(ModuleId module, Avoid&& avoid) {
    const std::set<Entry>& unassigned = at(module).unassigned;
    if (unassigned.empty()) return std::nullopt;
    auto entry = unassigned.begin();
    while (entry != unassigned.end() && avoid(entry->shard)) ++entry;
    const ShardId shard = (entry == unassigned.end() ? unassigned.begin() : entry)->shard;
    withdraw(shard);
    return shard;
  }
  std::optional<ShardId> take(ModuleId module) {
    return take(module, [](ShardId) { return false; });
  }
  /// What a gang that takes a shard now gets after it, if this module's gangs continue in turn. Nothing past 64
  /// gangs: the order would be a guess, and looking for it would cost more than handing out.
  std::optional<ShardId> upcoming(ModuleId module) const;
  void give_back(ShardId shard);          ///< it was lost; it goes to the front again
  void withdraw(ShardId shard);           ///< an unassigned one that need not run
  void on_gang_opening(ModuleId module);  ///< counted as serving from here on
  void on_gang_gone(ModuleId module);
  void drop(ModuleId module);  ///< no shard of it is handed out again
  /// What a shard and a load really took, of the whole gang: estimates follow. A first estimate counts as one shard.
  void on_ran(ShardId shard, double seconds);
  void on_loaded(ModuleId module, double seconds);
  bool has_unassigned(ModuleId module) const { return !at(module).unassigned.empty(); }
  std::size_t unassigned(ModuleId module) const { return at(module).unassigned.size(); }
  bool unserved(ModuleId module) const { return at(module).gangs == 0; }

 private:
  struct Entry {
    double negative_flops;  // so that the longest comes first
    ShardId shard;
    auto operator<=>(const Entry&) const = default;
  };
  struct ModuleState {
    ModuleOutlook outlook;
    std::set<Entry> unassigned;
    double remaining_flops = 0;
    std::uint32_t gangs = 0;
    bool expects_more = false;
    double known_flops = 0, known_seconds = 0;  // their ratio is the estimate
    double loads = 0;                           // measured
    double seconds() const {                    // of what is unassigned
      return known_flops > 0 ? remaining_flops * known_seconds / known_flops : 0;
    }
  };
  const ModuleState& at(ModuleId module) const { return modules_[module.value]; }
  bool joinable(ModuleId module) const;
  double gain(ModuleId module) const;
  bool better(ModuleId a, ModuleId b) const;

  std::vector<ModuleState> modules_;
  std::vector<std::pair<ModuleId, double>> shards_;  // module and FLOPs of each
};

}  // namespace proctor
