// `proctor plan`: what a run would do, as a table: requests, shards, estimated tokens and FLOPs of each pair.
#pragma once

#include <string>

#include "orchestrator/work.h"

namespace proctor {

std::string plan_report(const Work& work);

}  // namespace proctor
