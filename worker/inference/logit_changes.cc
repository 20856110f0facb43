#include "worker/inference/logit_changes.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "worker/kernels/token_tensor.h"

namespace proctor {
namespace {

/// Values by token, those of this member's share.
struct Marked {
  Tokens ids;  // from the share's beginning on
  std::vector<float> values;

  void add(TokenId id, double value, const VocabularyShare& mine) {
    if (id < mine.begin || id >= mine.begin + mine.rows) return;
    ids.push_back(id - static_cast<TokenId>(mine.begin));
    values.push_back(static_cast<float>(value));
  }
  /// Adds each value to its logit; a token is named once.
  void add_to(at::Tensor& logits) const {
    if (ids.empty()) return;
    const at::Tensor places = token_tensor(ids, logits.device());
    at::Tensor added = logits.new_empty({static_cast<std::int64_t>(values.size())}, at::kCPU);
    std::copy(values.begin(), values.end(), added.data_ptr<float>());
    logits.index_add_(0, places, added.to(logits.device()));
  }
};

void ban_endings(at::Tensor& logits, const GenerationRow& row, const Tokens& eos_ids, const VocabularyShare& mine) {
  Marked banned;
  for (const Tokens* ids : {&eos_ids, &row.stop_ids})
    for (const TokenId id : *ids) banned.add(id, -std::numeric_limits<float>::infinity(), mine);
  banned.add_to(logits);
}

void penalise_repetition(at::Tensor& logits, const GenerationRow& row, const VocabularyShare& mine) {
  Marked seen;
  for (const Tokens* tokens : {&row.prompt, &row.generated})
    for (const TokenId id : *tokens) seen.add(id, 0, mine);  // an image's own ids are no member's
  if (row.image_token) seen.add(*row.image_token, 0, mine);
  const at::Tensor ids = token_tensor(seen.ids, logits.device()), values = logits.index_select(0, ids);
  logits.scatter_(0, ids, at::where(values < 0, values * row.repetition_penalty, values / row.repetition_penalty));
}

void penalise_presence(at::Tensor& logits, const GenerationRow& row, const VocabularyShare& mine) {
  std::map<TokenId, std::int64_t> times;
  for (const TokenId id : row.generated) ++times[id];
  Marked marked;
  for (const auto& [id, count] : times)
    marked.add(id, -(row.changes.frequency * static_cast<double>(count) + row.changes.presence), mine);
  marked.add_to(logits);
}

/// NoRepeatNGramLogitsProcessor: what came behind the last tokens before.
void ban_repeats(at::Tensor& logits, const GenerationRow& row, const VocabularyShare& mine) {
  Tokens all = row.prompt;
  all.insert(all.end(), row.generated.begin(), row.generated.end());
  const auto before = static_cast<std::size_t>(row.no_repeat_ngram) - 1;
  if (all.size() < before) return;
  const std::span<const TokenId> ids(all), last = ids.last(before);
  std::set<TokenId> behind;
  for (std::size_t at = 0; at + before < ids.size(); ++at)
    if (std::ranges::equal(ids.subspan(at, before), last)) behind.insert(ids[at + before]);
  Marked banned;
  for (const TokenId id : behind) banned.add(id, -std::numeric_limits<float>::infinity(), mine);
  banned.add_to(logits);
}

void force(at::Tensor& logits, TokenId token, const VocabularyShare& mine) {
  logits.fill_(-std::numeric_limits<float>::infinity());
  if (token >= mine.begin && token < mine.begin + mine.rows) logits[token - mine.begin] = 0;
}

}  // namespace

void change_logits(at::Tensor logits, const GenerationRow& row, const Tokens& eos_ids, const VocabularyShare& mine) {
  Marked bias;
  for (const LogitBias& one : row.changes.bias) bias.add(one.id, one.added, mine);
  bias.add_to(logits);
  if (static_cast<std::int64_t>(row.generated.size()) < row.min_new) ban_endings(logits, row, eos_ids, mine);
  if (row.repetition_penalty != 1) penalise_repetition(logits, row, mine);
  if (row.changes.presence != 0 || row.changes.frequency != 0) penalise_presence(logits, row, mine);
  if (row.no_repeat_ngram > 0) ban_repeats(logits, row, mine);
  const auto written = static_cast<std::int64_t>(row.generated.size());
  if (row.forced_first && written == 0) force(logits, *row.forced_first, mine);
  if (row.forced_last && written + 1 == row.max_new) force(logits, *row.forced_last, mine);
}

}  // namespace proctor
