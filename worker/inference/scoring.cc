#include "worker/inference/scoring.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/index.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <limits>
#include <span>

#include "sharding/planning/cost.h"
#include "worker/kernels/token_tensor.h"

namespace proctor {
namespace {

constexpr std::int64_t kVocabularyChunk = 8192;

/// logsumexp over fixed chunks of the vocabulary: logits [rows, vocabulary] float32 -> [rows] float32.
at::Tensor chunked_log_sum_exp(const at::Tensor& logits) {
  std::vector<at::Tensor> parts;
  for (std::int64_t begin = 0; begin < logits.size(1); begin += kVocabularyChunk)
    parts.push_back(at::logsumexp(logits.narrow(1, begin, std::min(kVocabularyChunk, logits.size(1) - begin)), {1}));
  return parts.size() == 1 ? parts[0] : at::logsumexp(at::stack(parts, 1), {1});
}

/// What members tell each other of a row of logits, each over its part of the vocabulary.
enum GatheredLogits { kBestLogit, kBestToken, kLogSumExp, kTold };

/// logits [rows, padded] -> the first two of kTold, [2, rows], float32 (ids are exact up to 2^24).
at::Tensor local_best(const VocabularyShare& mine, const at::Tensor& logits) {
  const auto [logit, token] = logits.max(1);
  return at::stack({logit, (token + mine.begin).to(at::kFloat)}, 0);
}

/// all [members, kTold or 2, rows] -> [rows]: the first member with the highest logit has the lowest id.
at::Tensor best_of(const at::Tensor& all) {
  const at::Tensor winner = all.select(1, kBestLogit).argmax(0, /*keepdim=*/true);
  return at::gather(all.select(1, kBestToken), 0, winner).squeeze(0);
}

/// A target of a row, and the slot whose logits predict it.
struct ScoredTarget {
  std::int32_t slot, target;
  std::size_t row, index;  // of its row; among the row's targets
};

/// Ordered by slot; the targets of a row in their order.
std::vector<ScoredTarget> scored_targets(const Batch& batch, const std::vector<ScoredRow>& rows) {
  std::vector<ScoredTarget> all;
  for (const RowPath& path : batch.paths)
    for (std::size_t i = 0; i < path.scored; ++i)
      all.push_back({path.slots[path.slots.size() - path.scored + i], rows[path.row].targets[path.first_target + i],
                     path.row, path.first_target + i});
  std::ranges::stable_sort(all, {}, &ScoredTarget::slot);
  return all;
}

/// Collective. Scores targets of at most head_rows() slots, `slots` of them. states: [slots, hidden].
void score_targets(const Decoder& decoder, const at::Tensor& states, std::span<const ScoredTarget> targets,
                   std::vector<RowScore>& scores) {
  const at::Device device = states.device();
  Tokens index, wanted;  // of each target: its row of logits, its token
  for (const ScoredTarget& target : targets) {
    const bool next = !index.empty() && target.slot != targets[index.size() - 1].slot;
    index.push_back(index.empty() ? 0 : index.back() + (next ? 1 : 0));
    wanted.push_back(target.target);
  }
  const at::Tensor row = token_tensor(index, device), token = token_tensor(wanted, device);
  const at::Tensor logits = decoder.logits(states);
  const auto [local, is_remote] = decoder.local(token);
  const at::Tensor logit =
      at::index(logits, {row, local}).masked_fill(is_remote, -std::numeric_limits<float>::infinity());
  const at::Tensor told = decoder.gang().all_gather(
      at::cat({local_best(decoder.vocabulary(), logits).flatten(), chunked_log_sum_exp(logits), logit}));
  const std::int64_t slots = states.size(0);
  const at::Tensor all = told.narrow(1, 0, kTold * slots).unflatten(1, {kTold, slots});  // [members, kTold, slots]
  const at::Tensor target_logit = told.narrow(1, kTold * slots, told.size(1) - kTold * slots).amax(0);
  const at::Tensor logit_of_target = target_logit.cpu();
  const at::Tensor log_p =
      (target_logit - at::logsumexp(all.select(1, kLogSumExp), {0}).index_select(0, row)).to(at::kDouble).cpu();
  const at::Tensor greedy = best_of(all).index_select(0, row).eq(token).cpu();
  for (std::size_t i = 0; i < targets.size(); ++i) {
    RowScore& score = scores[targets[i].row];
    score.sum += log_p.data_ptr<double>()[i];
    score.last_logit = logit_of_target.data_ptr<float>()[i];
    if (!score.of_targets.empty()) score.of_targets[targets[i].index] = log_p.data_ptr<double>()[i];
    score.greedy = score.greedy && greedy.data_ptr<bool>()[i];
    ++score.tokens;
  }
}

}  // namespace

Tokens best_tokens(const LogitColumns& columns, const at::Tensor& logits) {
  const at::Tensor all = columns.gathered(local_best(columns.vocabulary, logits));
  // The highest logit is no number where one of them is none, and infinite where one is.
  const at::Tensor broken = at::isfinite(all.select(1, kBestLogit)).all(0).logical_not();
  const at::Tensor best = best_of(all).masked_fill(broken, kNoToken).to(at::kInt).cpu();
  return {best.data_ptr<std::int32_t>(), best.data_ptr<std::int32_t>() + best.numel()};
}

std::vector<double> log_probabilities(const LogitColumns& columns, const at::Tensor& logits, const Tokens& tokens) {
  const at::Tensor local = token_tensor(tokens, logits.device()).to(at::kLong) - columns.vocabulary.begin;
  const at::Tensor is_remote = local.lt(0).logical_or(local.ge(columns.vocabulary.rows));
  const at::Tensor logit = at::gather(logits, 1, local.masked_fill(is_remote, 0).unsqueeze(1))
                               .squeeze(1)
                               .masked_fill(is_remote, -std::numeric_limits<float>::infinity());
  const at::Tensor told = columns.gathered(at::stack({logit, chunked_log_sum_exp(logits)}, 0));
  const at::Tensor log_p =
      (told.select(1, 0).amax(0) - at::logsumexp(told.select(1, 1), {0})).to(at::kDouble).cpu().contiguous();
  return {log_p.data_ptr<double>(), log_p.data_ptr<double>() + log_p.numel()};
}

std::vector<std::int32_t> last_slots(const Batch& batch) {
  std::vector<std::int32_t> last;
  for (const RowPath& path : batch.paths) last.push_back(path.slots.back());
  return last;
}

void score_batch(const Decoder& decoder, const Batch& batch, const std::vector<ScoredRow>& rows, PrefixCache& prefix,
                 std::vector<RowScore>& scores) {
  const std::vector<ScoredTarget> targets = scored_targets(batch, rows);
  std::vector<std::int32_t> slots;
  for (const ScoredTarget& target : targets)
    if (slots.empty() || slots.back() != target.slot) slots.push_back(target.slot);
  const at::Tensor states = prefix.forward(batch, slots);
  const std::size_t most = head_rows(!states.is_cpu());  // logits are never [tokens, vocabulary] at once
  for (std::size_t first = 0, begin = 0, end = 0; first < slots.size(); first += most, begin = end) {
    const std::size_t count = std::min(most, slots.size() - first);
    while (end < targets.size() && targets[end].slot <= slots[first + count - 1]) ++end;
    score_targets(decoder, states.narrow(0, static_cast<std::int64_t>(first), static_cast<std::int64_t>(count)),
                  std::span(targets).subspan(begin, end - begin), scores);
  }
}

}  // namespace proctor
