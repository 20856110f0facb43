#include "worker/tree_attention.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <cmath>
#include <limits>
#include <set>

#include "worker/attention.h"

namespace proctor {
namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

std::set<std::int64_t> distinct_windows(const DecoderConfig& config) {
  return {config.windows.begin(), config.windows.end()};
}

/// [1, 1, size, size]: a slot sees itself and its ancestors, at most `window` positions (0: all).
at::Tensor tree_mask(const Tree& tree, std::int64_t window, const at::TensorOptions& options) {
  const auto size = static_cast<std::int64_t>(tree.tokens.size());
  at::Tensor mask = at::full({size, size}, kHidden, at::kFloat);
  float* rows = mask.data_ptr<float>();
  for (std::int64_t slot = 0; slot < size; ++slot) {
    const auto parent_of = [&](std::int64_t s) {
      return tree.parents.empty() ? s - 1 : tree.parents[static_cast<std::size_t>(s)];
    };
    std::int64_t seen = 0;
    for (std::int64_t other = slot; other >= 0 && (window == 0 || seen < window); other = parent_of(other), ++seen)
      rows[slot * size + other] = 0;
  }
  return mask.to(options).unsqueeze(0).unsqueeze(0);
}

double scale(const DecoderConfig& config) { return 1.0 / std::sqrt(static_cast<double>(config.head_dim)); }

}  // namespace

TreeAttention::TreeAttention(const Batch& batch, const DecoderConfig& config, const at::TensorOptions& options)
    : config_(config) {
  std::int64_t begin = 0;
  for (const Tree& tree : batch.trees) {
    Placed placed{begin, static_cast<std::int64_t>(tree.tokens.size()), {}};
    for (std::int64_t window : distinct_windows(config)) {
      const bool cut = window > 0 && placed.size > window;
      if (!tree.is_chain || cut) placed.masks.emplace(window, tree_mask(tree, window, options));
    }
    begin += placed.size;
    trees_.push_back(std::move(placed));
  }
}

at::Tensor TreeAttention::operator()(std::int64_t layer, const at::Tensor& q, const at::Tensor& k,
                                     const at::Tensor& v) const {
  at::Tensor out = at::empty({q.size(0), q.size(1), q.size(2)}, q.options());
  for (const Placed& tree : trees_) {
    const auto part = [&](const at::Tensor& x) {
      return x.narrow(0, tree.begin, tree.size).transpose(0, 1).unsqueeze(0);
    };
    AttendSpec spec{scale(config_), true, {}};
    if (const auto mask = tree.masks.find(config_.windows[static_cast<std::size_t>(layer)]); mask != tree.masks.end()) {
      spec.causal = false;
      spec.mask = mask->second;
    }
    out.narrow(0, tree.begin, tree.size).copy_(attend(part(q), part(k), part(v), spec).squeeze(0).transpose(0, 1));
  }
  return out.flatten(1);
}

CachedAttention::CachedAttention(KvCache& cache, const DecoderConfig& config, const at::TensorOptions& options)
    : cache_(cache), config_(config), tokens_(cache.longest() + 1) {
  for (std::int64_t window : distinct_windows(config)) {
    at::Tensor mask = at::full({cache.rows(), tokens_}, kHidden, at::kFloat);
    for (std::int64_t row = 0; row < cache.rows(); ++row) {
      const std::int64_t length = cache.length(row) + 1,
                         begin = window > 0 ? std::max<std::int64_t>(0, length - window) : 0;
      mask[row].narrow(0, begin, length - begin).zero_();
    }
    masks_.emplace(window, mask.to(options).unsqueeze(1).unsqueeze(1));
  }
}

at::Tensor CachedAttention::operator()(std::int64_t layer, const at::Tensor& q, const at::Tensor& k,
                                       const at::Tensor& v) const {
  cache_.append(layer, k, v);
  AttendSpec spec{scale(config_), false, masks_.at(config_.windows[static_cast<std::size_t>(layer)])};
  return attend(q.unsqueeze(2), cache_.keys(layer, tokens_), cache_.values(layer, tokens_), spec).flatten(1);
}

}  // namespace proctor
