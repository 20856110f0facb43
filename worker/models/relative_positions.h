// What an encoder adds to products of queries and keys by how far they are apart: T5's buckets (Raffel et al. 2020,
// arXiv:1910.10683), MPNet's table of them, DeBERTa's vectors of distances (He et al. 2020, arXiv:2006.03654). Compute
// thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "worker/checkpoint/encoder_config.h"
#include "worker/kernels/packed_attention.h"
#include "worker/models/weights.h"

namespace proctor {

/// The bucket of a key at `distance` (key position less query position): exact near, logarithmic up to max_distance;
/// half of the buckets are for later keys where both directions are seen.
std::int64_t t5_bucket(std::int64_t distance, bool both_directions, std::int64_t buckets, std::int64_t max_distance);

/// DeBERTa's of a query's position less a key's: itself up to half of the buckets, then by logarithm.
std::int64_t deberta_bucket(std::int64_t distance, std::int64_t buckets, std::int64_t max_distance);

/// [length, length], int32: of query and key, number(key position less query position), asked for once a distance.
at::Tensor numbers_by_distance(std::int64_t length, const at::Device& device,
                               const std::function<std::int64_t(std::int64_t distance)>& number);

class RelativeBias {
 public:
  /// config: a member's. scale: of products of queries and keys.
  RelativeBias(const EncoderConfig& config, const Weights& weights, double scale);

  /// What all layers of a forward pass have in common, of texts up to this many tokens; undefined where nothing is
  /// added.
  at::Tensor common(std::int64_t longest) const;
  /// Of the layer with this set of weights. The result refers to this and keeps `common`.
  PositionBias of_layer(std::size_t set, const at::Tensor& common) const;

 private:
  at::Tensor table_bias(std::int64_t longest) const;
  at::Tensor vector_numbers(std::int64_t longest) const;
  at::Tensor product_bias(std::size_t set, const at::Tensor& numbers, const at::Tensor& q, const at::Tensor& k) const;

  RelativePositions facts_;
  std::int64_t heads_, head_dim_;
  double scale_;
  at::Tensor table_;                        // [buckets, heads]
  std::vector<at::Tensor> keys_, queries_;  // of each set: [heads, head_dim, 2 * span], or undefined
};

}  // namespace proctor
