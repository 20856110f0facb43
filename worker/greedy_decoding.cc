#include "worker/greedy_decoding.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <numeric>

#include "worker/generation_text.h"
#include "worker/scoring.h"
#include "worker/tree_attention.h"

namespace proctor {

/// The prompts, packed, one causal chain each; their keys and values go to the cache. Returns
/// Decoder::logits of their last tokens.
at::Tensor GreedyDecoding::prefill(std::span<GenerationRow> rows, KvCache& cache, const Announce& announce) {
  std::vector<at::Tensor> last;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    announce("prompt " + std::to_string(r + 1) + " of " + std::to_string(rows.size()));
    const auto row = static_cast<std::int64_t>(r);
    const auto length = static_cast<std::int64_t>(rows[r].prompt.size());
    std::vector<std::int32_t> positions(rows[r].prompt.size());
    std::iota(positions.begin(), positions.end(), 0);
    Batch batch;
    batch.trees.push_back({rows[r].prompt, positions, {}, {}, {}, true});
    const TreeAttention attention(batch, decoder_.config(), decoder_.options());
    const at::Tensor states = decoder_.forward(token_tensor(rows[r].prompt, decoder_.options().device()),
                                               token_tensor(positions, decoder_.options().device()),
                                               [&](auto layer, const auto& q, const auto& k, const auto& v) {
                                                 cache.write_prompt(layer, row, k, v);
                                                 return attention(layer, q, k, v);
                                               });
    cache.set_length(row, length);
    tokens_ += static_cast<std::uint64_t>(length);
    last.push_back(states.narrow(0, length - 1, 1));
  }
  return decoder_.logits(at::cat(last, 0));
}

/// One token of each row. Returns Decoder::logits.
at::Tensor GreedyDecoding::step(const std::vector<std::int32_t>& tokens, KvCache& cache) {
  std::vector<std::int32_t> positions;
  for (std::int64_t row = 0; row < cache.rows(); ++row)
    positions.push_back(static_cast<std::int32_t>(cache.length(row)));
  cache.begin_step();
  const CachedAttention attention(cache, decoder_.config(), decoder_.options());
  const at::Tensor states = decoder_.forward(
      token_tensor(tokens, decoder_.options().device()), token_tensor(positions, decoder_.options().device()),
      [&](auto layer, const auto& q, const auto& k, const auto& v) { return attention(layer, q, k, v); });
  cache.end_step();
  tokens_ += tokens.size();
  return decoder_.logits(states);
}

/// Collective. Greedy, after the repetition penalty over prompt and generated tokens.
std::vector<std::int32_t> GreedyDecoding::choose(at::Tensor logits, const std::vector<GenerationRow*>& rows) const {
  const double penalty = defaults_.repetition_penalty;
  for (std::size_t r = 0; penalty != 1.0 && r < rows.size(); ++r) {
    std::vector<std::int32_t> seen = rows[r]->prompt;
    seen.insert(seen.end(), rows[r]->generated.begin(), rows[r]->generated.end());
    const VocabularyShare& mine = decoder_.vocabulary();
    std::erase_if(seen, [&](std::int32_t id) { return id < mine.begin || id >= mine.begin + mine.rows; });
    for (std::int32_t& id : seen) id -= static_cast<std::int32_t>(mine.begin);
    const at::Tensor ids = token_tensor(seen, logits.device());
    const at::Tensor row = logits[static_cast<std::int64_t>(r)], values = row.index_select(0, ids);
    row.scatter_(0, ids, at::where(values < 0, values * penalty, values / penalty));
  }
  return best_tokens(decoder_, logits);
}

bool GreedyDecoding::finished(GenerationRow& row, std::int32_t token) const {
  row.generated.push_back(token);
  if (std::ranges::find(defaults_.eos_ids, token) != defaults_.eos_ids.end()) return true;
  if (static_cast<std::int64_t>(row.generated.size()) >= row.max_new) return true;
  return has_stop(codec_.decode_with_specials(row.generated), row.stops);
}

void GreedyDecoding::run(std::span<GenerationRow> rows, const Announce& announce) {
  std::int64_t capacity = 0;
  for (const GenerationRow& row : rows)
    capacity = std::max(capacity, static_cast<std::int64_t>(row.prompt.size()) + row.max_new);
  const DecoderConfig& config = decoder_.config();
  KvCache cache(config.layers, static_cast<std::int64_t>(rows.size()), config.kv_heads, capacity, config.head_dim,
                decoder_.options());
  std::vector<GenerationRow*> active;
  for (GenerationRow& row : rows) active.push_back(&row);
  at::Tensor logits = prefill(rows, cache, announce);
  for (std::uint64_t decoded = 1; !active.empty(); ++decoded) {
    const std::vector<std::int32_t> chosen = choose(logits, active);
    std::vector<std::int64_t> kept;
    std::vector<std::int32_t> tokens;
    std::vector<GenerationRow*> going;
    for (std::size_t r = 0; r < active.size(); ++r) {
      if (finished(*active[r], chosen[r])) continue;
      kept.push_back(static_cast<std::int64_t>(r));
      tokens.push_back(chosen[r]);
      going.push_back(active[r]);
    }
    if (going.empty()) return;
    if (going.size() < active.size()) cache.keep(kept);
    active = std::move(going);
    announce("decode step " + std::to_string(decoded));
    logits = step(tokens, cache);
  }
}

}  // namespace proctor
