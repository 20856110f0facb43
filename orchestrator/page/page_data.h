// What the page's script works on, as JSON. assets/page.js reads these keys.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/page/blobs.h"
#include "orchestrator/report/run_files.h"

namespace proctor {

/// `sides`: each module of each run, {run, module, label}; others name one by its place there. `leader`: rows {task,
/// metric, filter, higher_is_better, cells: [[value, standard error] or null, one a side]}, `groups`: group -> its
/// tasks; `cells`: {side, task, index, lines, scored}; `images`: hash -> blob, a data: URL; `comparisons`: as `proctor
/// compare --json` has them, with `a` and `b` under `value_a`, `value_b` and the sides under `side_a`, `side_b`;
/// `runs`: what each was, took and cost. Samples go into `blobs`.
nlohmann::ordered_json page_data(const std::vector<RunFiles>& runs, std::optional<double> gpu_hour, Blobs& blobs);

}  // namespace proctor
