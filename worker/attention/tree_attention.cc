#include "worker/attention/tree_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <set>

namespace proctor {
namespace {

std::set<std::int64_t> distinct_windows(const DecoderConfig& config) {
  return {config.windows.begin(), config.windows.end()};
}

/// Slots of the image that a slot is of, which lie one after another in its block; none for a text's.
std::pair<std::int64_t, std::int64_t> slots_of_image(const Batch& batch, std::int64_t slot, const ImageSpans* images) {
  const TokenId id = batch.tokens[static_cast<std::size_t>(slot)];
  const ImageSpan* const image = images ? images->find(id) : nullptr;
  if (!image) return {slot, slot};
  const std::int64_t begin = slot - (id - image->first);
  return {begin, begin + image->tokens};
}

/// [1, size, size]: the positions of a slot's ancestors in its block, itself among them, and of its image's slots;
/// infinite: not seen, or none.
at::Tensor block_keys(const Batch& batch, const Block& block, std::int64_t window, bool chunks,
                      const ImageSpans* images) {
  const auto size = static_cast<std::int64_t>(block.size), begin = static_cast<std::int64_t>(block.begin);
  at::Tensor keys = at::full({1, size, size}, -kHidden, at::kFloat);
  float* rows = keys.data_ptr<float>();
  for (std::int64_t slot = 0; slot < size; ++slot) {
    const std::int64_t first = first_seen(batch.positions[static_cast<std::size_t>(begin + slot)], window, chunks);
    for (std::int64_t other = slot; other >= 0;) {
      const auto at = static_cast<std::size_t>(begin + other);
      if (batch.positions[at] < first) break;
      rows[slot * size + other] = static_cast<float>(batch.positions[at]);
      other = batch.parents[at] - begin;
    }
    const auto [image, image_end] = slots_of_image(batch, begin + slot, images);
    for (std::int64_t at = image; at < image_end; ++at)
      rows[slot * size + at - begin] = static_cast<float>(batch.positions[static_cast<std::size_t>(at)]);
  }
  return keys;
}

/// [1, size]
at::Tensor block_queries(const Batch& batch, const Block& block) {
  const auto first = batch.positions.begin() + static_cast<std::ptrdiff_t>(block.begin);
  const std::vector<float> positions(first, first + static_cast<std::ptrdiff_t>(block.size));
  return at::tensor(positions, at::kFloat).unsqueeze(0);
}

at::Tensor as_floats(const std::vector<std::int64_t>& positions) { return at::tensor(positions, at::kFloat); }

at::Tensor slots_of(const std::vector<const Block*>& blocks, const at::Device& device) {
  std::vector<std::int64_t> slots;
  for (const Block* block : blocks)
    for (std::size_t i = 0; i < block->size; ++i) slots.push_back(static_cast<std::int64_t>(block->begin + i));
  return at::tensor(slots, at::kLong).to(device);
}

/// [tokens, heads, head_dim] -> [count, heads, tokens / count, head_dim]
at::Tensor as_batch(const at::Tensor& x, std::int64_t count) { return x.unflatten(0, {count, -1}).transpose(1, 2); }
/// Back: [count, heads, tokens, ...] -> [count * tokens, heads, ...]
at::Tensor as_packed(const at::Tensor& x) { return x.transpose(1, 2).flatten(0, 1); }

AttendSpec spec_of(const DecoderConfig& config, std::int64_t layer, bool causal, const at::Tensor& mask) {
  const double scale = config.attention_scale / (config.scale_by_layer ? static_cast<double>(layer + 1) : 1);
  return {scale, causal, mask, config.attention_cap};
}

}  // namespace

TreeAttention::TreeAttention(const Batch& batch, const DecoderConfig& config, const at::TensorOptions& options,
                             const PrefixKeys& prefix, const ImageSpans* images)
    : config_(config),
      prefix_(prefix),
      images_(config.images_attend_themselves && images && !images->empty() ? images : nullptr),
      masks_(config, options) {
  for (std::int64_t window : distinct_windows(config)) calls_.emplace(window, calls(batch, window, options));
}

TreeAttention::Calls TreeAttention::calls(const Batch& batch, std::int64_t window,
                                          const at::TensorOptions& options) const {
  std::map<std::pair<std::size_t, bool>, std::vector<const Block*>> alike;
  for (const Block& block : batch.blocks) alike[{block.size, block.is_chain}].push_back(&block);
  Calls calls;
  for (const auto& [shape, blocks] : alike) {
    const auto [size, is_chain] = shape;
    SelfCall own{static_cast<std::int64_t>(blocks[0]->begin),
                 static_cast<std::int64_t>(size),
                 static_cast<std::int64_t>(blocks.size()),
                 {},
                 {}};
    if (own.count > 1) own.slots = slots_of(blocks, options.device());
    const auto is_cut = [&](const Block* block) {
      const std::int64_t first = batch.positions[block->begin];
      return first_seen(first + own.size - 1, window, config_.chunks) > first;
    };
    const auto has_image = [&](const Block* block) {
      for (std::size_t slot = block->begin; slot < block->begin + block->size; ++slot)
        if (images_ && images_->find(batch.tokens[slot])) return true;
      return false;
    };
    if (!is_chain || masks_.has_biases() || std::ranges::any_of(blocks, is_cut) ||
        std::ranges::any_of(blocks, has_image)) {
      std::vector<at::Tensor> keys, queries;
      for (const Block* block : blocks) {
        keys.push_back(block_keys(batch, *block, window, config_.chunks, images_));
        queries.push_back(block_queries(batch, *block));
      }
      own.mask = masks_.of(at::cat(keys, 0), at::cat(queries, 0));
    }
    calls.self.push_back(std::move(own));
  }
  const auto add = [&](AncestorCall call, std::int64_t first_key) {
    if (auto kept = above(batch, std::move(call), first_key, window, options))
      calls.ancestors.push_back(std::move(*kept));
  };
  for (const Block& block : batch.blocks) {
    const auto begin = static_cast<std::int64_t>(block.begin), size = static_cast<std::int64_t>(block.size);
    add({begin + size, static_cast<std::int64_t>(block.subtree_end) - begin - size, begin, size, false, {}, {}},
        batch.positions[block.begin]);
  }
  add({0,
       static_cast<std::int64_t>(batch.tokens.size()),
       0,
       static_cast<std::int64_t>(batch.prefix_length),
       true,
       {},
       {}},
      0);
  return calls;
}

/// Nothing if no query sees a key. Keys are at positions first_key and on, all before the queries'.
std::optional<TreeAttention::AncestorCall> TreeAttention::above(const Batch& batch, AncestorCall call,
                                                                std::int64_t first_key, std::int64_t window,
                                                                const at::TensorOptions& options) const {
  const auto begin = batch.positions.begin() + call.query;
  const std::vector<std::int64_t> positions(begin, begin + call.queries);
  const std::optional<Sight> sight =
      sight_of(positions, first_key, call.keys, window, config_.chunks, masks_.has_biases());
  if (!sight) return std::nullopt;
  call.key += sight->first;
  call.keys = sight->count;
  if (sight->keys.defined()) call.mask = masks_.of(sight->keys.unsqueeze(0), as_floats(positions).unsqueeze(0));
  if (sight->hidden.defined()) call.hidden = sight->hidden.to(options.device());
  return call;
}

void TreeAttention::attend_self(const SelfCall& own, std::int64_t layer, const at::Tensor& q, const at::Tensor& k,
                                const at::Tensor& v, Attended& all) const {
  const bool one = !own.slots.defined();
  const auto pick = [&](const at::Tensor& x) {
    return as_batch(one ? x.narrow(0, own.begin, own.size) : x.index_select(0, own.slots), own.count);
  };
  const auto put = [&](const at::Tensor& into, const at::Tensor& what) {
    const at::Tensor packed = as_packed(what).to(into.scalar_type());
    if (one)
      into.narrow(0, own.begin, own.size).copy_(packed);
    else
      into.index_copy_(0, own.slots, packed);
  };
  const Attended part = attend(pick(q), pick(k), pick(v), spec_of(config_, layer, !own.mask.defined(), own.mask));
  put(all.out, part.out);
  put(all.lse, part.lse);
}

Attended TreeAttention::operator()(std::int64_t layer, const at::Tensor& q, const at::Tensor& k,
                                   const at::Tensor& v) const {
  const Calls& calls = calls_.at(config_.windows[static_cast<std::size_t>(layer)]);
  const at::TensorOptions wide = q.options().dtype(at::kFloat);
  Attended all{at::empty(q.sizes(), calls.ancestors.empty() ? q.options() : wide),
               at::empty({q.size(0), q.size(1)}, wide)};
  for (const SelfCall& own : calls.self) attend_self(own, layer, q, k, v, all);
  for (const AncestorCall& call : calls.ancestors) {
    const auto queries = [&](const at::Tensor& x) { return x.narrow(0, call.query, call.queries); };
    const auto keys = [&](const at::Tensor& x) { return as_batch(x.narrow(0, call.key, call.keys), 1); };
    const Attended part =
        attend(as_batch(queries(q), 1), keys(call.prefix ? prefix_.keys(layer) : k),
               keys(call.prefix ? prefix_.values(layer) : v), spec_of(config_, layer, false, call.mask));
    at::Tensor lse = as_packed(part.lse);
    if (call.hidden.defined()) lse = lse.masked_fill(call.hidden.unsqueeze(1), kHidden);
    Attended mine{queries(all.out), queries(all.lse)};
    join(mine, {as_packed(part.out), lse});
  }
  return {all.out.to(q.scalar_type()), all.lse};
}

CachedAttention::CachedAttention(KvCache& cache, const DecoderConfig& config, const at::TensorOptions& options,
                                 const PrefixKeys* prefix)
    : cache_(cache), config_(config), prefix_(prefix), tokens_(cache.longest() + 1) {
  const PositionMasks masks(config, options);
  const std::int64_t lanes = cache.lanes(), group = config.heads / config.kv_heads;
  const std::int64_t behind = prefix ? prefix->length() : 0;
  std::vector<std::int64_t> positions;
  for (std::int64_t lane = 0; lane < lanes; ++lane) positions.push_back(behind + cache.length(lane));
  const at::Tensor queries = as_floats(positions).unsqueeze(1);
  // [lanes, heads | 1, 1, keys] -> [lanes, kv_heads | 1, group, keys]
  const auto grouped = [&](const at::Tensor& mask) {
    return mask.size(1) == 1 ? mask.expand({-1, -1, group, -1}) : mask.squeeze(2).unflatten(1, {-1, group});
  };
  for (std::int64_t window : distinct_windows(config)) {
    at::Tensor keys = at::full({lanes, tokens_}, -kHidden, at::kFloat);
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      const std::int64_t end = cache.length(lane) + 1;
      const std::int64_t begin =
          std::max<std::int64_t>(0, first_seen(behind + end - 1, window, config.chunks) - behind);
      keys[lane].narrow(0, begin, end - begin).copy_(at::arange(behind + begin, behind + end, 1, at::kFloat));
    }
    masks_.emplace(window, grouped(masks.of(keys.unsqueeze(1), queries)));
    const auto sight = sight_of(positions, 0, behind, window, config.chunks, masks.has_biases());
    if (!sight) continue;
    Above above{sight->first, sight->count, {}, {}};
    if (sight->keys.defined())
      above.mask = grouped(masks.of(sight->keys.unsqueeze(1), queries)).transpose(0, 1).flatten(1, 2).unsqueeze(0);
    if (sight->hidden.defined()) above.hidden = sight->hidden.view({-1, 1, 1}).to(options.device());
    above_.emplace(window, std::move(above));
  }
}

/// The query heads of a key head, and all lanes, are queries of one call. grouped [lanes, kv_heads, group, head_dim].
void CachedAttention::attend_prefix(const Above& above, std::int64_t layer, const at::Tensor& grouped,
                                    Attended& all) const {
  const auto keys = [&](const at::Tensor& x) { return as_batch(x.narrow(0, above.first, above.keys), 1); };
  const auto back = [&](const at::Tensor& x) {  // [1, kv_heads, lanes * group, ...] -> [lanes, kv_heads, group, ...]
    return x.squeeze(0).unflatten(1, {grouped.size(0), -1}).transpose(0, 1);
  };
  const at::Tensor queries = grouped.transpose(0, 1).flatten(1, 2).unsqueeze(0);
  const Attended part = attend(queries, keys(prefix_->keys(layer)), keys(prefix_->values(layer)),
                               spec_of(config_, layer, false, above.mask));
  at::Tensor lse = back(part.lse);
  if (above.hidden.defined()) lse = lse.masked_fill(above.hidden, kHidden);
  all.out = all.out.to(at::kFloat);
  join(all, {back(part.out), lse});
}

/// The query heads of a key head are queries of one call: the keys are read once for all of them.
Attended CachedAttention::operator()(std::int64_t layer, const at::Tensor& q, const at::Tensor& k,
                                     const at::Tensor& v) const {
  cache_.append(layer, k, v);
  const std::int64_t window = config_.windows[static_cast<std::size_t>(layer)];
  const at::Tensor grouped = q.unflatten(1, {config_.kv_heads, -1});  // [lanes, kv_heads, group, head_dim]
  Attended all = attend(grouped, cache_.keys(layer, tokens_), cache_.values(layer, tokens_),
                        spec_of(config_, layer, false, masks_.at(window)));
  if (const auto above = above_.find(window); above != above_.end()) attend_prefix(above->second, layer, grouped, all);
  return {all.out.to(q.scalar_type()).flatten(1, 2), all.lse.flatten(1, 2)};
}

}  // namespace proctor
