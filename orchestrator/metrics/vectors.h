// Vectors as `embed` requests answer them.
#pragma once

#include <span>
#include <vector>

#include "sharding/protocol/request.h"

namespace proctor {

/// Empty where the request failed.
const std::vector<float>& vector_of(const Response& response);
/// The sum of the products, in float64. Vectors of one length.
double dot(std::span<const float> a, std::span<const float> b);
/// The cosine of two vectors, from their products with each other and with themselves; 0 where one is all zeros.
double cosine(double ab, double aa, double bb);
inline double cosine(std::span<const float> a, std::span<const float> b) {
  return cosine(dot(a, b), dot(a, a), dot(b, b));
}

}  // namespace proctor
