// `proctor-worker probe`: what this machine is, for plan and identity. Also chooses the device a worker computes on.
#pragma once

#include <memory>
#include <string>

#include "sharding/protocol/facts.h"
#include "worker/device/device.h"

namespace proctor {

enum class DeviceChoice { automatic, cpu, cuda };

/// Throws EnvironmentError where cuda is asked for and there is none.
DeviceFacts probe(DeviceChoice choice);

/// Device `index` of the chosen kind; the CPU has one.
std::unique_ptr<Device> make_device(DeviceChoice choice, int index);

}  // namespace proctor
