#include "worker/models/relative_positions.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <cmath>

#include "worker/kernels/token_tensor.h"

namespace proctor {

/// transformers computes the logarithm in float32; so does this.
std::int64_t t5_bucket(std::int64_t distance, bool both_directions, std::int64_t buckets, std::int64_t max_distance) {
  std::int64_t first = 0;
  if (both_directions) {
    buckets /= 2;
    if (distance > 0) first = buckets;
    distance = std::abs(distance);
  } else {
    distance = std::max<std::int64_t>(0, -distance);
  }
  const std::int64_t exact = buckets / 2;
  if (distance < exact) return first + distance;
  const float share = std::log(static_cast<float>(distance) / static_cast<float>(exact)) /
                      static_cast<float>(std::log(static_cast<double>(max_distance) / static_cast<double>(exact)));
  const auto far = exact + static_cast<std::int64_t>(share * static_cast<float>(buckets - exact));
  return first + std::min(far, buckets - 1);
}

std::int64_t deberta_bucket(std::int64_t distance, std::int64_t buckets, std::int64_t max_distance) {
  const std::int64_t half = buckets / 2, apart = std::abs(distance);
  if (buckets == 0 || apart <= half) return distance;
  const auto near = static_cast<float>(half);
  const float share =
      std::log(static_cast<float>(apart) / near) / std::log(static_cast<float>(max_distance - 1) / near);
  const auto far = static_cast<std::int64_t>(std::ceil(share * static_cast<float>(half - 1))) + half;
  return distance < 0 ? -far : far;
}

at::Tensor numbers_by_distance(std::int64_t length, const at::Device& device,
                               const std::function<std::int64_t(std::int64_t distance)>& number) {
  Tokens of_distance, numbers;  // from 1 - length on
  for (std::int64_t distance = 1 - length; distance < length; ++distance)
    of_distance.push_back(static_cast<std::int32_t>(number(distance)));
  numbers.reserve(static_cast<std::size_t>(length * length));
  for (std::int64_t query = 0; query < length; ++query) {
    const auto first = of_distance.begin() + (length - 1 - query);
    numbers.insert(numbers.end(), first, first + length);
  }
  return token_tensor(numbers, device).view({length, length});
}

RelativeBias::RelativeBias(const EncoderConfig& config, const Weights& weights, double scale)
    : facts_(config.relative),
      heads_(config.heads),
      head_dim_(config.head_dim),
      scale_(scale),
      table_(weights.find("relative")) {
  if (facts_.kind != RelativePositions::Kind::disentangled) return;
  at::Tensor vectors = table_;
  if (facts_.normed)
    vectors = at::layer_norm(vectors, {config.hidden}, weights.at("relative_norm"), weights.at("relative_norm_bias"),
                             config.norm.epsilon);
  const auto projected = [&](const at::Tensor& weight, const at::Tensor& bias) {
    return at::linear(vectors, weight, bias).view({-1, heads_, head_dim_}).permute({1, 2, 0}).contiguous();
  };
  const std::int64_t width = config.width();
  for (std::size_t set = 0; set < config.names.layers.size(); ++set) {
    const std::string of = "layers." + std::to_string(set) + ".";
    const auto rows = [&](const char* own, std::int64_t first) {
      if (!facts_.shares_projections)
        return projected(weights.at(of + own), weights.at(of + own + std::string("_bias")));
      return projected(weights.at(of + "qkv").narrow(0, first, width),
                       weights.at(of + "qkv_bias").narrow(0, first, width));
    };
    keys_.push_back(facts_.of_keys ? rows("position_key", width) : at::Tensor());
    queries_.push_back(facts_.of_queries ? rows("position_query", 0) : at::Tensor());
  }
}

at::Tensor RelativeBias::common(std::int64_t longest) const {
  if (facts_.kind == RelativePositions::Kind::table) return table_bias(longest);
  if (facts_.kind == RelativePositions::Kind::disentangled) return vector_numbers(longest);
  return {};
}

/// [1, heads, longest, longest]
at::Tensor RelativeBias::table_bias(std::int64_t longest) const {
  const at::Tensor buckets = numbers_by_distance(longest, table_.device(), [&](std::int64_t distance) {
    return t5_bucket(distance, true, facts_.buckets, facts_.max_distance);
  });
  return at::embedding(table_, buckets).permute({2, 0, 1}).contiguous().unsqueeze(0);
}

/// [longest, longest], int64: of a query and a key, which vector is their distance's.
at::Tensor RelativeBias::vector_numbers(std::int64_t longest) const {
  return numbers_by_distance(longest, table_.device(),
                             [&](std::int64_t distance) {
                               const std::int64_t bucket =
                                   deberta_bucket(-distance, facts_.buckets, facts_.max_distance);
                               return std::clamp<std::int64_t>(bucket + facts_.span, 0, 2 * facts_.span - 1);
                             })
      .to(at::kLong);
}

at::Tensor RelativeBias::product_bias(std::size_t set, const at::Tensor& numbers, const at::Tensor& q,
                                      const at::Tensor& k) const {
  const std::int64_t texts = q.size(0), queries = q.size(2), keys = k.size(2);
  const at::Tensor here = numbers.narrow(0, 0, queries).narrow(1, 0, keys);
  at::Tensor bias;
  if (keys_[set].defined())
    bias = at::gather(at::matmul(q, keys_[set]), 3, here.expand({texts, heads_, queries, keys}));
  if (queries_[set].defined()) {
    const at::Tensor of_keys =
        at::gather(at::matmul(k, queries_[set]), 3, here.t().expand({texts, heads_, keys, queries})).transpose(2, 3);
    bias = bias.defined() ? bias.add_(of_keys) : of_keys.contiguous();
  }
  return bias.mul_(scale_);
}

PositionBias RelativeBias::of_layer(std::size_t set, const at::Tensor& common) const {
  if (facts_.kind == RelativePositions::Kind::none) return {};
  if (facts_.kind == RelativePositions::Kind::table)
    return [common](const at::Tensor& q, const at::Tensor& k) {
      return common.narrow(2, 0, q.size(2)).narrow(3, 0, k.size(2));
    };
  return [this, set, common](const at::Tensor& q, const at::Tensor& k) { return product_bias(set, common, q, k); };
}

}  // namespace proctor
