// Time as the decisions know it: it comes in, they have no clock.
#pragma once

#include <chrono>

namespace proctor {

using Moment = std::chrono::duration<double>;  ///< seconds of the caller's monotonic clock

}  // namespace proctor
