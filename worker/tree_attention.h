// Who attends whom in a batch: trees of packed tokens (scoring, prompts), or one new token behind a cache (decoding).
// Built once a batch, called once a layer.
#pragma once

#include <map>
#include <vector>

#include "worker/batcher.h"
#include "worker/kv_cache.h"
#include "worker/models/decoder.h"

namespace proctor {

class TreeAttention {
 public:
  TreeAttention(const Batch& batch, const DecoderConfig& config, const at::TensorOptions& options);

  /// As proctor::Attend (models/decoder.h).
  at::Tensor operator()(std::int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) const;

 private:
  struct Placed {
    std::int64_t begin, size;
    std::map<std::int64_t, at::Tensor> masks;  // by window; none: plain causal
  };
  const DecoderConfig& config_;
  std::vector<Placed> trees_;
};

/// Writes each row's new token to the cache, then attends all of it.
class CachedAttention {
 public:
  CachedAttention(KvCache& cache, const DecoderConfig& config, const at::TensorOptions& options);
  at::Tensor operator()(std::int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) const;

 private:
  KvCache& cache_;
  const DecoderConfig& config_;
  std::int64_t tokens_;                       // keys attended, the new one included
  std::map<std::int64_t, at::Tensor> masks_;  // [rows, 1, 1, tokens], by window
};

}  // namespace proctor
