// Token ids, positions and indices on the device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

namespace proctor {

/// [values], int64, on the device.
at::Tensor token_tensor(std::span<const std::int32_t> values, const at::Device& device);

}  // namespace proctor
