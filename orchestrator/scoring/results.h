// results/<module>.json: lm-eval's results file, less dates, hosts and times.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "orchestrator/planning/work.h"
#include "orchestrator/scoring/cell_score.h"

namespace proctor {

/// `scores`: of each task the module ran, by task index.
nlohmann::ordered_json module_results(const Work& work, ModuleId module,
                                      const std::map<std::uint32_t, CellScore>& scores, DocumentLimit limit);

}  // namespace proctor
