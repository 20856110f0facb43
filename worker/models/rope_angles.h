// Angles of rotary positions: what a Rope says, as transformers computes it. Compute thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <span>

#include "worker/checkpoint/decoder_config.h"

namespace proctor {

/// 1 / theta^(2i / width), scaled as the rope says, in transformers' order of operations. [width / 2], float32
at::Tensor rope_inverse_frequencies(const Rope& rope);
/// The rope of texts past the original length: the same, but where longrope has other factors for them.
Rope of_long_texts(Rope rope);

struct Angles {
  at::Tensor cos, sin;  ///< [tokens, width / 2], float32
};
/// positions [tokens], float32.
Angles angles_of(const at::Tensor& positions, const at::Tensor& inverse_frequencies, const Rope& rope);
/// The same of tokens with three positions, each of which turns some frequencies (rope.sections).
Angles angles_of_places(std::span<const std::array<std::int32_t, 3>> places, const at::Tensor& inverse_frequencies,
                        const Rope& rope);

}  // namespace proctor
