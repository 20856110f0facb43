// The best of several modules, by the means of their metrics: AutoRAG's strategies. Pure.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "orchestrator/spec/upstream.h"

namespace proctor {

struct Candidate {
  std::vector<double> means;  ///< of each metric, over the documents; higher is better
  double tokens = 0;          ///< of an answer, on the average
};

/// Its place among the candidates; of equals the first. A mean that is no number counts as the lowest.
/// mean: the highest mean over its metrics, as they are. rank: the highest sum of 1 / rank over the metrics, equal
/// values sharing the mean of their ranks. normalize_mean: the highest sum over the metrics, each brought to [0, 1]
/// among the candidates; one that is the same for all counts nothing.
std::size_t best_of(std::span<const Candidate> candidates, const BestChoice& choice);

}  // namespace proctor
