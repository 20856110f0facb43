// A run in virtual time: the Conductor over simulated nodes, workers and store, for `proctor plan` and for tests. What
// is simulated keeps to the protocol of message.h; what the conductor says is checked at each step. Single-threaded,
// deterministic.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sharding/conductor/conductor.h"

namespace proctor {

struct SimulatedShard {
  double estimated_s = 1, actual_s = 1;  ///< on a gang of speed 1
  std::uint32_t cell = 0;                ///< that it is of, where others wait for it
};
/// Shards that are handed out when those of other cells are answered.
struct SimulatedCell {
  ModuleId module;
  std::uint32_t cell = 0;
  std::vector<std::uint32_t> reads;  ///< cells
  std::vector<SimulatedShard> shards;
};
struct SimulatedModule {
  std::uint32_t tensor_parallel = 1;
  double load_s = 10, teardown_s = 0.2;
  std::vector<SimulatedShard> shards;
};
struct SimulatedNode {
  std::vector<double> speeds;  ///< of each device; a gang is as fast as its slowest
  double arrives = 0;          ///< seconds after the start
};
/// What happens to a device or its node.
struct InjectedFault {
  /// kill: from outside; stop: rank 0 is killed, and started again 5 s later.
  enum class Kind { crash, kill, hang, slow, silence, stop };
  Kind kind = Kind::crash;
  double at = 0;
  SlotId slot;
  double amount = 0;  ///< slow: factor of its speed; silence: seconds
};
struct Scenario {
  std::vector<SimulatedModule> modules;
  std::vector<SimulatedCell> waiting;
  std::vector<SimulatedNode> nodes;
  std::vector<InjectedFault> faults;
  Deadlines deadlines;
  double start_s = 1;     ///< of a worker process
  double tick_s = 0.25;   ///< between two looks at the deadlines
  double patience = 1e5;  ///< virtual seconds after which a run counts as stuck
  /// Without deadlines, and with ticks as seldom as such a run allows: nothing goes wrong in it.
  void expect_no_faults(double about_s);
};

/// Seconds since the start.
struct SimulatedVisit {
  ModuleId module;
  std::vector<SlotId> members;
  double opened = 0, loaded = 0, closing = 0, closed = 0;  ///< closing, closed: 0 where it was aborted
};

struct Outcome {
  double makespan = 0;         ///< until the last visit ended
  double last_assignment = 0;  ///< no shard was waiting any more
  std::vector<SimulatedVisit> visits;
  double computed_s = 0;  ///< device seconds of turns that were answered
  std::size_t assignments = 0, events = 0;
  std::vector<std::string> violations;  ///< of what must hold at each step
};

Outcome simulate(const Scenario& scenario);

/// No schedule can take less: the smallest T with sum over modules of tp (W + L max(1, ceil(W / (T - L)))) <= T x the
/// sum of speeds, and T >= every L + largest shard / fastest speed. W: seconds of a module's work on a gang of speed 1;
/// L: its load and teardown. Where cells wait: nor less than any path of cells that read each other, each for as long
/// as all devices together, or a fastest one its longest shard.
double least_makespan(const Scenario& scenario);

}  // namespace proctor
