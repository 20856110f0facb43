#include "worker/attention/tree_attention.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <limits>
#include <set>

namespace proctor {
namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

std::set<std::int64_t> distinct_windows(const DecoderConfig& config) {
  return {config.windows.begin(), config.windows.end()};
}

/// [1, 1, size, size]: a slot sees itself and its ancestors in the block, at most `window` positions (0: all).
at::Tensor block_mask(const Batch& batch, const Block& block, std::int64_t window, const at::TensorOptions& options) {
  const auto size = static_cast<std::int64_t>(block.size), begin = static_cast<std::int64_t>(block.begin);
  at::Tensor mask = at::full({size, size}, kHidden, at::kFloat);
  float* rows = mask.data_ptr<float>();
  for (std::int64_t slot = 0; slot < size; ++slot) {
    std::int64_t seen = 0;
    for (std::int64_t other = slot; other >= 0 && (window == 0 || seen < window); ++seen) {
      rows[slot * size + other] = 0;
      other = batch.parents[static_cast<std::size_t>(begin + other)] - begin;
    }
  }
  return mask.to(options).unsqueeze(0).unsqueeze(0);
}

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

double scale(const DecoderConfig& config) { return 1.0 / std::sqrt(static_cast<double>(config.head_dim)); }

}  // namespace

TreeAttention::TreeAttention(const Batch& batch, const DecoderConfig& config, const at::TensorOptions& options,
                             const PrefixKeys& prefix)
    : config_(config), prefix_(prefix) {
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
    if (!is_chain || (window > 0 && own.size > window)) {
      std::vector<at::Tensor> masks;
      for (const Block* block : blocks) masks.push_back(block_mask(batch, *block, window, options));
      own.mask = at::cat(masks, 0);
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
  if (call.queries == 0 || call.keys == 0) return std::nullopt;
  const auto position = [&](std::int64_t query) {
    return std::int64_t{batch.positions[static_cast<std::size_t>(call.query + query)]};
  };
  std::int64_t all_see = call.keys, one_sees = 0;  // keys
  std::vector<std::int64_t> unseen;                // keys too far back, of each query
  for (std::int64_t query = 0; query < call.queries; ++query) {
    const std::int64_t far = window > 0 ? position(query) - window + 1 - first_key : 0;
    unseen.push_back(std::clamp<std::int64_t>(far, 0, call.keys));
    all_see = std::min(all_see, call.keys - unseen.back());
    one_sees = std::max(one_sees, call.keys - unseen.back());
  }
  if (one_sees == 0) return std::nullopt;
  if (all_see == call.keys) return call;
  at::Tensor mask = at::full({call.queries, call.keys}, 0.0f, at::kFloat);
  at::Tensor hidden = at::full({call.queries}, false, at::kBool);
  for (std::int64_t query = 0; query < call.queries; ++query) {
    const std::int64_t cut = unseen[static_cast<std::size_t>(query)];
    hidden.data_ptr<bool>()[query] = cut == call.keys;
    std::fill_n(mask.data_ptr<float>() + query * call.keys, std::min(cut, call.keys - 1), kHidden);  // never a full row
  }
  call.mask = mask.to(options).unsqueeze(0).unsqueeze(0);
  call.hidden = hidden.to(options.device());
  return call;
}

void TreeAttention::attend_self(const SelfCall& own, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                Attended& all) const {
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
  const Attended part = attend(pick(q), pick(k), pick(v), {scale(config_), !own.mask.defined(), own.mask});
  put(all.out, part.out);
  put(all.lse, part.lse);
}

at::Tensor TreeAttention::operator()(std::int64_t layer, const at::Tensor& q, const at::Tensor& k,
                                     const at::Tensor& v) const {
  const Calls& calls = calls_.at(config_.windows[static_cast<std::size_t>(layer)]);
  const at::TensorOptions wide = q.options().dtype(at::kFloat);
  Attended all{at::empty(q.sizes(), calls.ancestors.empty() ? q.options() : wide),
               at::empty({q.size(0), q.size(1)}, wide)};
  for (const SelfCall& own : calls.self) attend_self(own, q, k, v, all);
  for (const AncestorCall& call : calls.ancestors) {
    const auto queries = [&](const at::Tensor& x) { return x.narrow(0, call.query, call.queries); };
    const at::Tensor keys = call.prefix ? prefix_.keys(layer) : k.narrow(0, call.key, call.keys);
    const at::Tensor values = call.prefix ? prefix_.values(layer) : v.narrow(0, call.key, call.keys);
    const Attended part =
        attend(as_batch(queries(q), 1), as_batch(keys, 1), as_batch(values, 1), {scale(config_), false, call.mask});
    at::Tensor lse = as_packed(part.lse);
    if (call.hidden.defined()) lse = lse.masked_fill(call.hidden.unsqueeze(1), kHidden);
    Attended mine{queries(all.out), queries(all.lse)};
    join(mine, {as_packed(part.out), lse});
  }
  return all.out.to(q.scalar_type()).flatten(1);
}

CachedAttention::CachedAttention(KvCache& cache, const DecoderConfig& config, const at::TensorOptions& options,
                                 const PrefixKeys* prefix)
    : cache_(cache), config_(config), prefix_(prefix), tokens_(cache.longest() + 1) {
  for (std::int64_t window : distinct_windows(config)) {
    at::Tensor mask = at::full({cache.lanes(), tokens_}, kHidden, at::kFloat);
    for (std::int64_t lane = 0; lane < cache.lanes(); ++lane) {
      const std::int64_t length = cache.length(lane) + 1,
                         begin = window > 0 ? std::max<std::int64_t>(0, length - window) : 0;
      mask[lane].narrow(0, begin, length - begin).zero_();
    }
    masks_.emplace(window, mask.to(options).unsqueeze(1).unsqueeze(1));
  }
}

/// The query heads of a key head are queries of one call: the keys are read once for all of them.
at::Tensor CachedAttention::operator()(std::int64_t layer, const at::Tensor& q, const at::Tensor& k,
                                       const at::Tensor& v) const {
  cache_.append(layer, k, v);
  const at::Tensor grouped = q.unflatten(1, {config_.kv_heads, -1});  // [lanes, kv_heads, group, head_dim]
  const at::Tensor mask =
      masks_.at(config_.windows[static_cast<std::size_t>(layer)]).expand({-1, -1, grouped.size(2), -1});
  Attended all =
      attend(grouped, cache_.keys(layer, tokens_), cache_.values(layer, tokens_), {scale(config_), false, mask});
  if (prefix_) {
    const auto flat = [](const at::Tensor& x) { return x.transpose(0, 1).flatten(1, 2).unsqueeze(0); };
    const auto back = [&](const at::Tensor& x) {  // [1, kv_heads, lanes * group, ...] -> [lanes, kv_heads, group, ...]
      return x.squeeze(0).unflatten(1, {grouped.size(0), -1}).transpose(0, 1);
    };
    const Attended above = attend(flat(grouped), as_batch(prefix_->keys(layer), 1), as_batch(prefix_->values(layer), 1),
                                  {scale(config_), false, {}});
    all.out = all.out.to(at::kFloat);
    join(all, {back(above.out), back(above.lse)});
  }
  return all.out.to(q.scalar_type()).flatten(1);
}

}  // namespace proctor
