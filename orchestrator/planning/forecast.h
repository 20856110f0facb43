// What a run of this work would take: the cost model's estimates of each cell and module, and a rehearsal by the same
// decisions that run a job (sharding/simulation/simulation.h).
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/planning/work.h"
#include "sharding/planning/calibration.h"
#include "sharding/planning/cost.h"
#include "sharding/simulation/simulation.h"

namespace proctor {

struct CellForecast {
  std::size_t requests = 0, shards = 0;
  bool foreseen = false;                   ///< of answers that are not here yet
  double tokens = 0, computed_tokens = 0;  ///< before and after sharing
  double flops = 0;
  double run_s = 0;  ///< of all its shards, on one gang
};
struct ModuleForecast {
  double load_s = 0, run_s = 0, teardown_s = 0;  ///< run_s: of all its shards, on one gang
  MemoryNeed memory;                             ///< of each of its devices
  /// Where it does not fit the device: the smallest tensor_parallel that does, or 0 if none does.
  std::optional<std::uint32_t> needs_tensor_parallel;
};

/// Of the work's devices: what runs have shown, and what they do in matrix products.
Predictor predictor_of(const Work& work, Calibration known);

class Forecast {
 public:
  Forecast(const Work& work, Predictor predictor);
  /// In the order of Work::cells. Reads every request's text: for `plan`, not for a run's start.
  std::vector<CellForecast> cells() const;
  const ModuleForecast& module(ModuleId module) const { return modules_[module.value]; }
  /// For the conductor.
  std::vector<ModuleOutlook> outlooks() const;
  /// A run on nodes with so many devices each, all of the usual speed; shards in `answered` are done already.
  Scenario scenario(const std::vector<std::uint32_t>& nodes, const std::vector<bool>& answered = {}) const;
  const Predictor& predictor() const { return predictor_; }

 private:
  double shard_seconds(const Shard& shard) const;
  void add_reads(const Task& task, std::vector<std::uint32_t>& reads) const;
  std::map<std::pair<ModuleId, TaskId>, std::uint32_t> indices_of_cells() const;
  struct LargestShard {
    double tokens = 0, generating = 0;  // of any; of those that generate
  };
  MemoryNeed memory(std::uint32_t m, std::uint32_t tensor_parallel, const LargestShard& largest) const;
  const Work& work_;
  Predictor predictor_;
  std::vector<ModuleForecast> modules_;
};

/// The pace that a shard's work is of: its module's dtype, its requests' type.
std::string work_name_of(const Work& work, const Shard& shard);

}  // namespace proctor
