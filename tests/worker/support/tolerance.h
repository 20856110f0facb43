// What is promised of numbers, and how far apart rounding may leave them (docs/numbers.md).
//
// The same bytes: the same shard, build and kind of machine. Everything else (another batch shape, another gang size,
// another instruction set, another library) gives the same numbers to rounding: sums are added in another order.
//
// The tolerance of such a comparison comes from the type, the width and the depth of the network, never from what one
// machine gave. A sum of `width` products in float32 errs by about sqrt(width) unit roundoffs of the size of its terms
// (rounding errors as independent: Higham and Mary 2019, SIAM J. Sci. Comput. 41(5)); a value stored in a type of 16
// bits by that type's unit roundoff. A layer stores eight values on the way from its input to its output (norm,
// projection, attention, projection; norm, projection, activation, projection), the head two. Independent errors add up
// by squares; a tolerance is four standard deviations.
#pragma once

#include <ATen/core/Tensor.h>

#include <cmath>
#include <cstdint>

namespace proctor {

/// Half the distance from 1 to the next larger number.
inline double unit_roundoff(at::ScalarType type) {
  return type == at::kFloat ? std::ldexp(1.0, -24) : std::ldexp(1.0, type == at::kHalf ? -11 : -8);
}

/// Of a sum of `width` products, relative to the size of its terms. Sums are in float32 whatever the type.
inline double rounding_of_sum(std::int64_t width, at::ScalarType type = at::kFloat) {
  const double stored = unit_roundoff(type);
  return std::sqrt(static_cast<double>(width)) * unit_roundoff(at::kFloat) + stored;
}

/// Of a network's outputs, relative to their size: vectors of length 1, scores, logits. The defaults are those of the
/// tiny models (tests/support/tiny_models.py).
inline double rounding_of_network(at::ScalarType type = at::kFloat, std::int64_t width = 48, std::int64_t depth = 2) {
  return 4 * std::sqrt(8.0 * static_cast<double>(depth) + 2) * rounding_of_sum(width, type);
}

constexpr double kTinyLogit = 2;  ///< no logit of the tiny models is larger (tests/data/goldens/decoder_goldens.json)

/// Of a log-probability of a tiny model, summed over `tokens`: a logit and a log-sum-exp of logits each.
inline double rounding_of_log_probability(std::int64_t tokens, at::ScalarType type = at::kFloat) {
  return static_cast<double>(tokens) * 2 * kTinyLogit * rounding_of_network(type);
}

}  // namespace proctor
