// Which token comes next, where it is drawn and not the best one. Pure, in float64 on the host, so that the same logits
// and the same number give the same token on every machine. Includes no torch.
#pragma once

#include <cstdint>
#include <span>

namespace proctor {

struct Sampling {
  double temperature = 0;  ///< 0: greedy, the rest is not looked at
  std::int64_t top_k = 0;  ///< 0: all
  double top_p = 1;        ///< in (0, 1]
  std::uint64_t seed = 0;  ///< of the row
  double min_p = 0;        ///< in [0, 1]: of the likeliest token's probability

  bool is_greedy() const { return temperature <= 0; }
};

/// The token at `uniform`, in [0, 1), of the distribution left by temperature, top_k and top_p in transformers' order
/// and with its ties (4.57.1, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper); min_p, as in vLLM, before
/// top_p. logits: [vocabulary].
std::int32_t sample(std::span<const float> logits, const Sampling& sampling, double uniform);

}  // namespace proctor
