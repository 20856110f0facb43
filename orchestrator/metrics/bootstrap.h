// Resampling with replacement as lm-eval's bootstrap_stderr draws it: chunk i of up to 1,000 replicates takes its
// indices from CPython's random.Random(i).choices. Eight chunks are drawn side by side, a lane each, and chunks go to
// all threads; a replicate's numbers, their order and their sum are those of one after another, bit for bit.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "orchestrator/metrics/python_sum.h"

namespace proctor {

/// The sum of each replicate, chunk by chunk. `values`: less than 2^32 of them, not none. `iterations` is cut to whole
/// chunks of min(1000, iterations), as there.
std::vector<double> resampled_sums(std::span<const double> values, std::uint32_t iterations, PythonSum how,
                                   unsigned threads);

}  // namespace proctor
