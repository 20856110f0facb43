// Rescaled and normalised, a channel's value depends on its byte alone.
#pragma once

#include <array>
#include <cstdint>

#include "worker/checkpoint/image_processor.h"

namespace proctor {

/// [channel][byte]
using ValueTable = std::array<std::array<float, 256>, 3>;

/// In the roundings of transformers' slow (numpy) or fast (torch) processors, which differ in last digits.
ValueTable make_value_table(const ImageProcessor& processor);

}  // namespace proctor
