// Log-probabilities of rows under a decoder. Compute thread only.
#pragma once

#include <vector>

#include "sharding/protocol/tokens.h"
#include "worker/attention/prefix_cache.h"
#include "worker/batching/batcher.h"
#include "worker/models/decoder.h"

namespace proctor {

struct RowScore {
  double sum = 0;      ///< of natural log-probabilities, added in float64
  bool greedy = true;  ///< every target is the most likely token (the lowest id among equals)
  std::int64_t tokens = 0;
  double last_logit = 0;           ///< of the last target
  std::vector<double> of_targets;  ///< the targets' log-probabilities, filled where it has as many places
};

/// Collective. Adds the scores of the batch's rows to `scores` (as many as `rows`). `prefix` is the batch's already,
/// and grows where the batch extends it. The head runs once on each slot that is scored, in chunks.
void score_batch(const Decoder& decoder, const Batch& batch, const std::vector<ScoredRow>& rows, PrefixCache& prefix,
                 std::vector<RowScore>& scores);

/// Slots of the rows' last positions, in the batch's order.
std::vector<std::int32_t> last_slots(const Batch& batch);

/// Whose logits [rows, columns] are: a gang's, of which this member has these of the vocabulary; or, without a gang,
/// all of them are here.
struct LogitColumns {
  VocabularyShare vocabulary;
  Communicator* gang = nullptr;

  explicit LogitColumns(const Decoder& decoder) : vocabulary(decoder.vocabulary()), gang(&decoder.gang()) {}
  explicit LogitColumns(std::int64_t all) : vocabulary{0, all, all} {}
  /// Collective. x of each member, [members, ...].
  at::Tensor gathered(const at::Tensor& x) const { return gang ? gang->all_gather(x) : x.unsqueeze(0); }
};

/// Collective: the natural log-probability of a token in each row. logits: float32.
std::vector<double> log_probabilities(const LogitColumns& columns, const at::Tensor& logits, const Tokens& tokens);

constexpr std::int32_t kNoToken = -1;

/// Collective: the most likely token of each row, the lowest id among equals; kNoToken where a logit is not finite.
/// logits: float32.
Tokens best_tokens(const LogitColumns& columns, const at::Tensor& logits);

}  // namespace proctor
