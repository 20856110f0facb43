#include "worker/models/norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rsqrt.h>

#include <optional>
#include <utility>

#include "worker/kernels/elementwise.h"

namespace proctor {
namespace {

RmsNorm rms_of(const NormFacts& facts) { return {facts.epsilon, facts.plus_one, facts.rounds_once}; }

std::optional<at::Tensor> given(const at::Tensor& x) {
  return x.defined() ? std::optional<at::Tensor>(x) : std::nullopt;
}

}  // namespace

Norm::Norm(const NormFacts& facts, at::Tensor weight, at::Tensor bias, std::int64_t width,
           const at::TensorOptions& options)
    : facts_(facts), weight_(std::move(weight)), bias_(std::move(bias)) {
  if (!weight_.defined()) weight_ = at::ones({width}, options);
  if (facts_.kind == NormFacts::Kind::layer && facts_.plus_one) weight_ = weight_ + 1;
}

at::Tensor Norm::operator()(const at::Tensor& x) const {
  if (!exists()) return x;
  if (facts_.kind == NormFacts::Kind::rms) return rms_norm(x, weight_, rms_of(facts_));
  return at::layer_norm(x, {x.size(-1)}, weight_, given(bias_), facts_.epsilon);
}

at::Tensor Norm::add_then(const at::Tensor& x, const at::Tensor& y) const {
  if (exists() && facts_.kind == NormFacts::Kind::rms) return add_then_norm(x, y, weight_, rms_of(facts_));
  return (*this)(x.add_(y));
}

Norm norm_named(const std::string& name, const NormFacts& facts, const Weights& weights) {
  const at::Tensor weight = weights.find(name);
  if (!weight.defined()) return {};
  return {facts, weight, weights.find(name + "_bias"), weight.size(0), weight.options()};
}

HeadNorm::HeadNorm(const QueryKeyNorm& facts, const at::Tensor& weights, const at::Tensor& bias, std::int64_t heads,
                   std::int64_t head_dim, const at::TensorOptions& options)
    : facts_(facts.facts), over_width_(facts.over == QueryKeyNorm::Over::width) {
  if (over_width_) {
    weights_ = weights.view({heads, head_dim});
    norm_ = Norm(facts_, weights, {}, heads * head_dim, options);
  } else if (facts.weights_of_each_head) {
    weights_ = weights.view({heads, head_dim}).to(at::kFloat);
    norm_ = Norm({facts_.kind, facts_.epsilon, false, true, false, false}, {}, {}, head_dim, options.dtype(at::kFloat));
  } else {
    norm_ = Norm(facts_, weights, bias, head_dim, options);
  }
}

at::Tensor HeadNorm::operator()(const at::Tensor& x, const at::Tensor& sum_of_squares, std::int64_t width) const {
  if (over_width_ && sum_of_squares.defined()) {
    const at::Tensor factor = at::rsqrt(sum_of_squares / static_cast<double>(width) + facts_.epsilon);
    return (x.to(at::kFloat) * factor.view({-1, 1, 1}) * weights_).to(x.scalar_type());
  }
  if (over_width_) return norm_(x.flatten(1)).view(x.sizes());
  if (weights_.defined()) return (norm_(x.to(at::kFloat)) * weights_).to(x.scalar_type());
  return norm_(x);
}

}  // namespace proctor
