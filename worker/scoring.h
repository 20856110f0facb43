// Log-probabilities of rows under a decoder. Compute thread only.
#pragma once

#include <vector>

#include "worker/batcher.h"
#include "worker/models/decoder.h"

namespace proctor {

struct RowScore {
  double sum = 0;      ///< of natural log-probabilities, added in float64
  bool greedy = true;  ///< every target is the most likely token (the lowest id among equals)
  std::int64_t tokens = 0;
};

/// Collective. Adds the scores of the batch's rows to `scores` (as many as `rows`). The head runs on scored positions
/// only, in chunks.
void score_batch(const Decoder& decoder, const Batch& batch, const std::vector<ScoredRow>& rows,
                 std::vector<RowScore>& scores);

/// Collective: the most likely token of each row, the lowest id among equals. logits: of Decoder::logits.
std::vector<std::int32_t> best_tokens(const Decoder& decoder, const at::Tensor& logits);

/// [total_tokens], int64, on the device.
at::Tensor token_tensor(const std::vector<std::int32_t>& values, const at::Device& device);

}  // namespace proctor
