#include "worker/inference/token_choice.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/PhiloxRNGEngine.h>

#include <algorithm>

#include "worker/inference/logit_changes.h"
#include "worker/postprocessing/generation_text.h"

namespace proctor {
namespace {

/// [0, 1), of the row's step-th token: counter based (Philox 4x32-10), so that nothing else in the run matters.
double uniform(std::uint64_t seed, std::uint64_t step) {
  at::Philox4_32 engine(seed, 0, step);
  const std::uint64_t high = engine(), low = engine();
  return static_cast<double>((high << 32 | low) >> 11) * 0x1p-53;
}

}  // namespace

std::vector<bool> TokenChoice::operator()(at::Tensor logits, std::span<GenerationRow* const> rows) const {
  const auto any = [&](const auto& has) {
    return std::ranges::any_of(rows, [&](const GenerationRow* row) { return has(*row); });
  };
  const bool logprobs = any([](const GenerationRow& row) { return row.wants_logprobs; });
  const at::Tensor raw = logprobs ? logits.clone() : at::Tensor();
  for (std::size_t i = 0; i < rows.size(); ++i)
    change_logits(logits[static_cast<std::int64_t>(i)], *rows[i], eos_ids_, columns_.vocabulary);
  Tokens tokens = best_tokens(columns_, logits);
  if (any([](const GenerationRow& row) { return !row.sampling.is_greedy(); })) draw(whole_logits(logits), rows, tokens);
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (const auto forced = rows[i]->reasoning.forced(rows[i]->generated.size()))
      tokens[i] = tokens[i] == kNoToken ? kNoToken : *forced;
  const std::vector<double> log_p = logprobs ? log_probabilities(columns_, raw, tokens) : std::vector<double>();
  std::vector<bool> finished;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    GenerationRow& row = *rows[i];
    row.broken = tokens[i] == kNoToken;
    if (!row.broken) {
      row.generated.push_back(tokens[i]);
      if (row.wants_logprobs) row.logprobs.push_back(log_p[i]);
      row.reasoning.see(row.generated, [&](auto ids) { return codec_.decode_whole(ids); });
    }
    finished.push_back(row.broken || is_finished(row));
  }
  return finished;
}

/// In place of the best token, for the rows that are sampled. logits [rows, vocabulary], on the host.
void TokenChoice::draw(const at::Tensor& logits, std::span<GenerationRow* const> rows, Tokens& tokens) const {
  for (std::size_t at = 0; at < tokens.size(); ++at) {
    const GenerationRow& row = *rows[at];
    if (row.sampling.is_greedy() || tokens[at] == kNoToken) continue;
    const at::Tensor mine = logits[static_cast<std::int64_t>(at)];
    tokens[at] = sample({mine.data_ptr<float>(), static_cast<std::size_t>(mine.numel())}, row.sampling,
                        uniform(row.sampling.seed, row.generated.size()));
  }
}

/// Collective. [rows, vocabulary], on the host: every member's part, the padding behind the last.
at::Tensor TokenChoice::whole_logits(const at::Tensor& logits) const {
  const at::Tensor all = columns_.gathered(logits).cpu();  // [members, rows, padded]
  return all.transpose(0, 1).flatten(1).contiguous();      // padding is -inf: never drawn
}

/// A stop string that ends in the last token lies in so many tokens as it has bytes, and no more; in a trace none
/// counts.
bool TokenChoice::is_finished(const GenerationRow& row) const {
  const Tokens& all = row.generated;
  const auto count = static_cast<std::int64_t>(all.size());
  if (count >= row.max_new) return true;
  if (count < row.min_new) return false;
  const auto ends = [&](const Tokens& ids) { return std::ranges::find(ids, all.back()) != ids.end(); };
  if ((!row.ignore_eos && ends(eos_ids_)) || ends(row.stop_ids)) return true;
  if (row.reasoning.is_reasoning()) return false;
  std::size_t longest = 0;
  for (const std::string& stop : row.stops) longest = std::max(longest, stop.size());
  const std::size_t looked_at = std::min(all.size() - row.reasoning.trace_tokens(), longest + kSlackTokens);
  const std::size_t behind = all.size() - std::min(all.size(), row.special_stops_from);
  if (has_stop(codec_.decode_whole(std::span(all).last(std::min(looked_at, behind))), row.stops)) return true;
  return behind < looked_at && !codec_.cleans_up() &&
         has_stop(codec_.decode(std::span(all).last(looked_at)), row.stops);
}

}  // namespace proctor
