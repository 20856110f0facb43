// Suite + requests + facts -> shards. Pure: boundaries depend on text, ModelFacts and device class alone, so any number
// of ranks cuts the same shards and a resumed run finds its own.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sharding/planning/cost.h"
#include "sharding/protocol/facts.h"
#include "sharding/protocol/ids.h"
#include "sharding/protocol/request.h"

namespace proctor {

/// The requests of one (module, task), bundle by bundle: bundles[i] is the first request of bundle i.
struct CellWork {
  ModuleId module;
  TaskId task;
  std::span<const Request> requests;
  std::span<const std::uint32_t> bundles;  ///< ascending, begins with 0 unless empty
};

struct Shard {
  ModuleId module;
  TaskId task;
  std::vector<std::uint32_t> requests;  ///< indices into the pair's requests, in order of computation
  double flops = 0, tokens = 0;         ///< estimated, of what is to be computed
};

/// Shards of one pair: bundles ordered so that equal beginnings are neighbours and cost only what is new in them, cut
/// at the target (or a quarter of the pair, so that small pairs spread too), the last tenth in quarter-size shards
/// where nothing is generated. A bundle is never cut.
std::vector<Shard> plan_cell(const CellWork& work, const ModelFacts& facts, const ShardTarget& target);

/// Canonical text of a plan, to be hashed: equal texts are equal plans.
std::string describe(std::span<const Shard> shards);

}  // namespace proctor
