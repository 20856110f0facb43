// A calibration as its file and the manifest hold it.
#pragma once

#include <nlohmann/json.hpp>

#include "sharding/planning/calibration.h"

namespace proctor {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Pace, amount, seconds)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Calibration, runs, load, teardown, start)

}  // namespace proctor
