// How fast one thread of this CPU multiplies matrices, for forecasts before anything has run here.
#pragma once

#include "sharding/protocol/facts.h"

namespace proctor {

/// Measures for some hundredths of a second; nothing where the device is a GPU.
void measure_speed(DeviceFacts& facts);

}  // namespace proctor
