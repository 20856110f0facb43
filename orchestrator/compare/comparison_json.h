// A line of a comparison as JSON: of `proctor compare --json` (docs/compare.md names the keys) and of the report page.
#pragma once

#include <nlohmann/json.hpp>

#include "orchestrator/compare/comparison.h"

namespace proctor {

nlohmann::ordered_json as_json(const ComparedMetric& metric);

}  // namespace proctor
