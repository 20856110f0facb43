#include "worker/scoring.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <limits>

#include "worker/tree_attention.h"

namespace proctor {
namespace {

constexpr std::int64_t kHeadRows = 512;  // logits are never [tokens, vocabulary] at once
constexpr std::int64_t kVocabularyChunk = 8192;

/// logsumexp over fixed chunks of the vocabulary: logits [rows, vocabulary] float32 -> [rows] float32.
at::Tensor chunked_log_sum_exp(const at::Tensor& logits) {
  std::vector<at::Tensor> parts;
  for (std::int64_t begin = 0; begin < logits.size(1); begin += kVocabularyChunk)
    parts.push_back(at::logsumexp(logits.narrow(1, begin, std::min(kVocabularyChunk, logits.size(1) - begin)), {1}));
  return parts.size() == 1 ? parts[0] : at::logsumexp(at::stack(parts, 1), {1});
}

/// What members tell each other of a row of logits, each over its part of the vocabulary.
enum Told { kLogSumExp, kTarget, kBestLogit, kBestToken, kTold };

/// logits [rows, padded] -> [kTold, rows], float32 (ids are exact up to 2^24). Without targets theirs are left at -inf.
at::Tensor tell(const Decoder& decoder, const at::Tensor& logits, const at::Tensor& targets) {
  at::Tensor told = at::full({kTold, logits.size(0)}, -std::numeric_limits<float>::infinity(), logits.options());
  if (targets.defined()) {
    const auto [rows, elsewhere] = decoder.local(targets);
    const at::Tensor logit = at::gather(logits, 1, rows.unsqueeze(1)).squeeze(1);
    told[kTarget].copy_(logit.masked_fill(elsewhere, -std::numeric_limits<float>::infinity()));
    told[kLogSumExp].copy_(chunked_log_sum_exp(logits));
  }
  const at::Tensor best = logits.argmax(1);
  told[kBestLogit].copy_(at::gather(logits, 1, best.unsqueeze(1)).squeeze(1));
  told[kBestToken].copy_(best + decoder.vocabulary().begin);
  return told;
}

/// all [members, kTold, rows] -> [rows]: the first member with the highest logit has the lowest id.
at::Tensor best_of(const at::Tensor& all) {
  const at::Tensor winner = all.select(1, kBestLogit).argmax(0, /*keepdim=*/true);
  return at::gather(all.select(1, kBestToken), 0, winner).squeeze(0);
}

}  // namespace

std::vector<std::int32_t> best_tokens(const Decoder& decoder, const at::Tensor& logits) {
  const at::Tensor best = best_of(decoder.gang().all_gather(tell(decoder, logits, {}))).to(at::kInt).cpu();
  return {best.data_ptr<std::int32_t>(), best.data_ptr<std::int32_t>() + best.numel()};
}

at::Tensor token_tensor(const std::vector<std::int32_t>& values, const at::Device& device) {
  return at::tensor(values, at::kInt).to(at::kLong).to(device);
}

void score_batch(const Decoder& decoder, const Batch& batch, const std::vector<ScoredRow>& rows,
                 std::vector<RowScore>& scores) {
  std::vector<std::int32_t> tokens, positions, slots, targets;
  std::vector<std::size_t> owners;  // of each scored position: index into `rows`
  for (const Tree& tree : batch.trees) {
    const auto base = static_cast<std::int32_t>(tokens.size());
    tokens.insert(tokens.end(), tree.tokens.begin(), tree.tokens.end());
    positions.insert(positions.end(), tree.positions.begin(), tree.positions.end());
    for (std::size_t r = 0; r < tree.rows.size(); ++r) {
      for (std::int32_t slot : tree.paths[r]) slots.push_back(base + slot);
      const auto& wanted = rows[tree.rows[r]].targets;
      targets.insert(targets.end(), wanted.begin(), wanted.end());
      owners.insert(owners.end(), wanted.size(), tree.rows[r]);
    }
  }
  const at::Device device = decoder.options().device();
  const TreeAttention attention(batch, decoder.config(), decoder.options());
  const at::Tensor states = decoder.forward(
      token_tensor(tokens, device), token_tensor(positions, device),
      [&](auto layer, const auto& q, const auto& k, const auto& v) { return attention(layer, q, k, v); });
  const at::Tensor scored = states.index_select(0, token_tensor(slots, device)), wanted = token_tensor(targets, device);
  for (std::int64_t begin = 0; begin < scored.size(0); begin += kHeadRows) {
    const std::int64_t count = std::min(kHeadRows, scored.size(0) - begin);
    const at::Tensor logits = decoder.logits(scored.narrow(0, begin, count));
    const at::Tensor target = wanted.narrow(0, begin, count);
    const at::Tensor all = decoder.gang().all_gather(tell(decoder, logits, target));  // [members, kTold, rows]
    const at::Tensor log_p =
        (all.select(1, kTarget).amax(0) - at::logsumexp(all.select(1, kLogSumExp), {0})).to(at::kDouble).cpu();
    const at::Tensor greedy = best_of(all).eq(target).cpu();
    for (std::int64_t i = 0; i < count; ++i) {
      RowScore& score = scores[owners[static_cast<std::size_t>(begin + i)]];
      score.sum += log_p.data_ptr<double>()[i];
      score.greedy = score.greedy && greedy.data_ptr<bool>()[i];
      ++score.tokens;
    }
  }
}

}  // namespace proctor
