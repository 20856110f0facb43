// Exact search among vectors: every one is looked at. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sharding/protocol/ask.h"

namespace proctor {

struct NamedVector {
  std::string_view id;
  std::span<const float> vector;
};

/// Of each query the `most` vectors of the greatest cosine, the best first, in trec_eval's order (sort_as_trec_eval).
/// All vectors have one length. A cosine is cosine(a, b) of vectors.h to the bit, whatever is searched beside it.
std::vector<std::vector<Ranked>> nearest(std::span<const std::span<const float>> queries,
                                         std::span<const NamedVector> vectors, std::size_t most);

}  // namespace proctor
