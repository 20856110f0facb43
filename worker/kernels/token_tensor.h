// Token ids, positions and indices on the device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "sharding/protocol/tokens.h"

namespace proctor {

/// [values], int64, on the device.
at::Tensor token_tensor(std::span<const TokenId> values, const at::Device& device);

}  // namespace proctor
