// An id is its own type: a shard's number cannot be passed where a visit's is wanted.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace proctor {

template <class Tag>
struct Id {
  std::uint32_t value = 0;
  auto operator<=>(const Id&) const = default;
};

using ModuleId = Id<struct ModuleTag>;  ///< index into Suite::modules
using TaskId = Id<struct TaskTag>;      ///< index into Suite::tasks
using ShardId = Id<struct ShardTag>;    ///< index into Plan::shards
using VisitId = Id<struct VisitTag>;    ///< never used again within a run directory
using AgentId = Id<struct AgentTag>;    ///< MPI rank

/// One worker place of one agent; with tensor parallelism several slots form a gang.
struct SlotId {
  AgentId agent;
  std::uint32_t slot = 0;
  auto operator<=>(const SlotId&) const = default;
};

}  // namespace proctor

template <class Tag>
struct std::hash<proctor::Id<Tag>> {
  std::size_t operator()(const proctor::Id<Tag>& id) const noexcept { return id.value; }
};
