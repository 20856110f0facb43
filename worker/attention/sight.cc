#include "worker/attention/sight.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <vector>

namespace proctor {

std::int64_t first_seen(std::int64_t position, std::int64_t window, bool chunks) {
  if (window == 0) return 0;
  return chunks ? position / window * window : std::max<std::int64_t>(0, position - window + 1);
}

PositionMasks::PositionMasks(const DecoderConfig& config, const at::TensorOptions& options)
    : options_(options), rounds_(config.alibi_rounds), scale_(config.alibi_scale) {
  if (!config.alibi_slopes.empty()) slopes_ = at::tensor(config.alibi_slopes, at::kFloat).view({1, -1, 1, 1});
  if (has_biases() && rounds_) slopes_ = slopes_.to(at::kBFloat16).to(at::kFloat);
}

at::Tensor PositionMasks::bias(const at::Tensor& positions) const {
  at::Tensor bias = positions * slopes_;
  if (rounds_) bias = bias.to(at::kBFloat16).to(at::kFloat);
  return bias * scale_;
}

/// Biases count from the query on: the same for softmax, and small numbers.
at::Tensor PositionMasks::of(const at::Tensor& keys, const at::Tensor& queries) const {
  const at::Tensor apart = keys.unsqueeze(1);
  at::Tensor mask = has_biases() ? bias(apart) - bias(queries.unsqueeze(1).unsqueeze(-1)) : at::zeros_like(apart);
  return mask.masked_fill_(apart.isinf(), kHidden).to(options_);
}

std::optional<Sight> sight_of(std::span<const std::int64_t> queries, std::int64_t first_key, std::int64_t count,
                              std::int64_t window, bool chunks, bool has_biases) {
  if (queries.empty() || count == 0) return std::nullopt;
  std::vector<std::int64_t> unseen;  // keys too far back, of each query
  for (const std::int64_t position : queries)
    unseen.push_back(std::clamp<std::int64_t>(first_seen(position, window, chunks) - first_key, 0, count));
  Sight sight;
  sight.first = std::ranges::min(unseen);
  sight.count = count - sight.first;
  const std::int64_t most = std::ranges::max(unseen) - sight.first;
  if (sight.count == 0) return std::nullopt;
  if (most == 0 && !has_biases) return sight;
  sight.keys = at::arange(first_key + sight.first, first_key + count, 1, at::kFloat)
                   .expand({static_cast<std::int64_t>(queries.size()), -1})
                   .clone();
  if (most == sight.count) sight.hidden = at::full({static_cast<std::int64_t>(queries.size())}, false, at::kBool);
  for (std::size_t query = 0; query < queries.size(); ++query) {
    const std::int64_t cut = unseen[query] - sight.first;
    if (cut == sight.count) sight.hidden.data_ptr<bool>()[query] = true;
    float* row = sight.keys.data_ptr<float>() + static_cast<std::int64_t>(query) * sight.count;
    std::fill_n(row, std::min(cut, sight.count - 1), -kHidden);  // never a full row
  }
  return sight;
}

}  // namespace proctor
