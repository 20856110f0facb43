// Vectors as `embed` requests answer them.
#pragma once

#include <span>
#include <vector>

#include "sharding/request.h"

namespace proctor {

/// float32; empty where the request failed.
std::vector<float> vector_of(const Response& response);
/// The cosine of two vectors of one length, in float64; 0 where one is all zeros.
double cosine(std::span<const float> a, std::span<const float> b);

}  // namespace proctor
