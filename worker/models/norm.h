// A norm of a network, with its weights; or none. Compute thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "worker/checkpoint/decoder_config.h"
#include "worker/models/weights.h"

namespace proctor {

class Norm {
 public:
  Norm() = default;  ///< none: what goes in comes out
  /// weight [width], bias [width]; undefined where the facts say there is none.
  Norm(const NormFacts& facts, at::Tensor weight, at::Tensor bias, std::int64_t width,
       const at::TensorOptions& options);

  bool exists() const { return weight_.defined(); }
  const at::Tensor& weight() const { return weight_; }  ///< undefined where there is none, as is the bias
  const at::Tensor& bias() const { return bias_; }
  /// x [rows, width] or [rows, heads, width]; x itself where there is none.
  at::Tensor operator()(const at::Tensor& x) const;
  /// x += y, then the norm of x. [rows, width].
  at::Tensor add_then(const at::Tensor& x, const at::Tensor& y) const;

 private:
  NormFacts facts_;
  at::Tensor weight_, bias_;
};

/// By the parameter's name, its bias being NAME_bias; none where the weights have no such parameter.
Norm norm_named(const std::string& name, const NormFacts& facts, const Weights& weights);

/// Norms of queries and keys: over a head or over all of them; see QueryKeyNorm.
class HeadNorm {
 public:
  HeadNorm() = default;
  /// weights: those of this member's heads, [head_dim] or [heads * head_dim].
  /// bias [head_dim], or undefined.
  HeadNorm(const QueryKeyNorm& facts, const at::Tensor& weights, const at::Tensor& bias, std::int64_t heads,
           std::int64_t head_dim, const at::TensorOptions& options);
  /// x [rows, heads, head_dim]; a new tensor. sum_of_squares: of the whole model's heads, [rows], float32; where the
  /// mean is over them and members of a gang have some each.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& sum_of_squares = {}, std::int64_t width = 0) const;

 private:
  NormFacts facts_;
  Norm norm_;           // over a head, or over all of this member's
  at::Tensor weights_;  // [heads, head_dim], of each head's own, or of the whole width; else undefined
  bool over_width_ = false;
};

}  // namespace proctor
