// Who attends whom in a batch: blocks of packed tokens, their ancestors and the prefix (scoring, prompts), or one new
// token behind a cache (decoding). Built once a batch, called once a layer.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "worker/attention/kv_cache.h"
#include "worker/attention/prefix_keys.h"
#include "worker/attention/sight.h"
#include "worker/batching/batcher.h"
#include "worker/batching/image_spans.h"
#include "worker/checkpoint/decoder_config.h"
#include "worker/kernels/attention.h"

namespace proctor {

class TreeAttention {
 public:
  /// All must outlive this; the prefix is read as it is at each call. images: null where rows have none.
  TreeAttention(const Batch& batch, const DecoderConfig& config, const at::TensorOptions& options,
                const PrefixKeys& prefix, const ImageSpans* images = nullptr);

  /// q [tokens, heads, head_dim], k and v [tokens, kv_heads, head_dim] of the batch's tokens, rotated; returns
  /// [tokens, heads, head_dim] and [tokens, heads].
  Attended operator()(std::int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) const;

 private:
  /// Blocks of one size and kind: each attends itself, all in one call.
  struct SelfCall {
    std::int64_t begin, size, count;
    at::Tensor slots;  // [count * size], int64; undefined: the one block at `begin`
    at::Tensor mask;   // undefined: causal
  };
  /// Slots [query, query + queries) attend an ancestor's [key, key + keys), or the prefix's keys.
  struct AncestorCall {
    std::int64_t query, queries, key, keys;
    bool prefix;
    at::Tensor mask;    // undefined: all
    at::Tensor hidden;  // [queries], bool: sees none of the keys; undefined: none such
  };
  struct Calls {
    std::vector<SelfCall> self;
    std::vector<AncestorCall> ancestors;
  };
  Calls calls(const Batch& batch, std::int64_t window, const at::TensorOptions& options) const;
  std::optional<AncestorCall> above(const Batch& batch, AncestorCall call, std::int64_t first_key, std::int64_t window,
                                    const at::TensorOptions& options) const;
  void attend_self(const SelfCall& own, std::int64_t layer, const at::Tensor& q, const at::Tensor& k,
                   const at::Tensor& v, Attended& all) const;

  const DecoderConfig& config_;
  const PrefixKeys& prefix_;
  const ImageSpans* images_;  // whose slots see each other; null: none
  PositionMasks masks_;
  std::map<std::int64_t, Calls> calls_;  // by window
};

/// Writes each lane's new token to the cache, then attends all of it, and the prefix that all lanes have in common.
class CachedAttention {
 public:
  /// prefix: null if there is none.
  CachedAttention(KvCache& cache, const DecoderConfig& config, const at::TensorOptions& options,
                  const PrefixKeys* prefix);
  /// As TreeAttention: of a token a lane.
  Attended operator()(std::int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) const;

 private:
  /// What lanes see of the prefix.
  struct Above {
    std::int64_t first, keys;
    at::Tensor mask;    // [1, kv_heads | 1, lanes * group, keys]; undefined: all
    at::Tensor hidden;  // [lanes, 1, 1], bool; undefined: none such
  };
  void attend_prefix(const Above& above, std::int64_t layer, const at::Tensor& grouped, Attended& all) const;

  KvCache& cache_;
  const DecoderConfig& config_;
  const PrefixKeys* prefix_;
  std::int64_t tokens_;                       // keys attended, the new one included
  std::map<std::int64_t, at::Tensor> masks_;  // [lanes, kv_heads | 1, group, tokens], by window
  std::map<std::int64_t, Above> above_;       // by window
};

}  // namespace proctor
