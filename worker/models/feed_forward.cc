#include "worker/models/feed_forward.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/floor_divide.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>
#include <vector>

namespace proctor {
namespace {

/// The first `count` of each row, best first; equal ones by their number.
at::Tensor best_of(const at::Tensor& scores, std::int64_t count) {
  return std::get<1>(at::sort(scores, /*stable=*/true, /*dim=*/-1, /*descending=*/true)).narrow(-1, 0, count);
}

/// Only experts of the best groups keep their scores: a group's is the sum of its two best (DeepSeek-AI 2024,
/// arXiv:2412.19437).
at::Tensor in_best_groups(const at::Tensor& scores, const Experts& e) {
  if (e.groups <= 1) return scores;
  const at::Tensor grouped = scores.unflatten(1, {e.groups, -1});
  const at::Tensor of_group = std::get<0>(at::topk(grouped, 2, -1)).sum(-1);
  const at::Tensor kept = at::zeros_like(of_group).scatter_(1, best_of(of_group, e.chosen_groups), 1);
  return grouped.masked_fill(kept.eq(0).unsqueeze(-1), 0).flatten(1);
}

/// PhiMoE's (Liu et al. 2023, arXiv:2310.00811, sparse mixer): of each turn the best expert, its weight the softmax of
/// all whose scores are near to it; then it is out.
Routing route_by_turns(const at::Tensor& logits, const Experts& e) {
  constexpr float kOut = -std::numeric_limits<float>::infinity();
  at::Tensor left = logits;
  std::vector<at::Tensor> experts, weights;
  for (std::int64_t turn = 0; turn < e.chosen; ++turn) {
    const at::Tensor best = best_of(left, 1), most = left.gather(1, best);
    const at::Tensor far = ((most - logits) / at::maximum(logits.abs(), most)).gt(2 * e.jitter);
    experts.push_back(best);
    weights.push_back(at::softmax(left.masked_fill(far, kOut), -1).gather(1, best));
    left = left.scatter(1, best, kOut);
  }
  return {at::cat(experts, 1), at::cat(weights, 1)};
}

}  // namespace

Routing route(const at::Tensor& router_logits, const at::Tensor& correction, const Experts& e) {
  constexpr double kLeast = 1e-20;  // of a sum that is divided by
  const at::Tensor logits = router_logits.to(at::kFloat);
  if (e.jitter > 0) return route_by_turns(logits, e);
  Routing routing;
  if (e.score == Experts::Score::softmax_of_chosen) {
    routing.experts = best_of(logits, e.chosen);
    routing.weights = at::softmax(logits.gather(1, routing.experts), -1);
    return routing;
  }
  const at::Tensor scores = e.score == Experts::Score::sigmoid ? at::sigmoid(logits) : at::softmax(logits, -1);
  const at::Tensor corrected = correction.defined() ? scores + correction : scores;
  routing.experts = best_of(in_best_groups(corrected, e), e.chosen);
  routing.weights = scores.gather(1, routing.experts);
  if (e.renormalises)
    routing.weights = routing.weights / routing.weights.sum(-1, true).clamp_min(std::max(e.least_sum, kLeast));
  if (e.scale != 1) routing.weights = routing.weights * e.scale;
  return routing;
}

FeedForward::FeedForward(const DecoderConfig& config, std::int64_t layer, const Weights& weights, Communicator& gang)
    : activation_(config.activation), gated_(config.gated), gang_(gang) {
  const auto find = [&](const std::string& name) {
    return weights.find("layers." + std::to_string(layer) + "." + name);
  };
  const auto block = [&](const std::string& inner, const std::string& down) {
    return Dense{find(inner), find(inner + "_bias"), find(down), find(down + "_bias")};
  };
  if (!config.has_experts(layer)) {
    dense_ = block("inner", "down");
    xielu_ = {find("alpha_p"), find("alpha_n"), find("beta"), find("eps")};
    return;
  }
  facts_ = config.experts;
  dense_ = block("experts_inner", "experts_down");
  shared_ = block("shared_inner", "shared_down");
  router_ = find("router"), router_bias_ = find("router_bias"), shared_gate_ = find("shared_gate");
  correction_ = find("correction");
  if (correction_.defined()) correction_ = correction_.to(at::kFloat);
}

at::Tensor FeedForward::activated(const at::Tensor& inner) const {
  if (gated_) return gated(inner, activation_);
  return activation_ == Activation::xielu ? xielu(inner, xielu_) : activate(inner, activation_);
}

at::Tensor FeedForward::dense(const Dense& weights, const at::Tensor& x, Products products) const {
  const at::Tensor inner = activated(linear(x, weights.inner, weights.inner_bias, products));
  return linear(inner, weights.down, gang_.rank() == 0 ? weights.down_bias : at::Tensor(), products);
}

FeedForward::Dense FeedForward::expert(std::int64_t number) const {
  const auto part = [&](const at::Tensor& all) {
    const std::int64_t rows = all.defined() ? all.size(0) / facts_.count : 0;
    return all.defined() ? all.narrow(0, number * rows, rows) : at::Tensor();
  };
  return {part(dense_.inner), part(dense_.inner_bias), part(dense_.down), part(dense_.down_bias)};
}

/// The rows of each expert lie together while it computes them; then each row's results are added, best first.
at::Tensor FeedForward::experts(const at::Tensor& x, Products products) const {
  const Routing routing = route(linear(x, router_, router_bias_), correction_, facts_);
  const at::Tensor order = std::get<1>(at::sort(routing.experts.flatten(), /*stable=*/true, 0, false));
  const at::Tensor rows = at::floor_divide(order, facts_.chosen);
  at::Tensor gathered = x.index_select(0, rows);
  const at::Tensor weights = routing.weights.flatten().index_select(0, order).to(x.scalar_type()).unsqueeze(1);
  const at::Tensor counts = at::bincount(routing.experts.flatten(), {}, facts_.count).cpu();
  if (facts_.scales_input) gathered = gathered * weights;
  at::Tensor out = at::empty({gathered.size(0), x.size(1)}, x.options());
  for (std::int64_t number = 0, begin = 0; number < facts_.count; ++number) {
    const std::int64_t count = counts.const_data_ptr<std::int64_t>()[number];
    if (count == 0) continue;
    out.narrow(0, begin, count).copy_(dense(expert(number), gathered.narrow(0, begin, count), products));
    begin += count;
  }
  if (!facts_.scales_input) out.mul_(weights);
  const at::Tensor back = at::empty_like(order).scatter_(0, order, at::arange(order.size(0), order.options()));
  return out.index_select(0, back).unflatten(0, {-1, facts_.chosen}).sum(1);
}

at::Tensor FeedForward::operator()(const at::Tensor& x, Products products) const {
  at::Tensor sum;
  if (facts_.count == 0) {
    sum = dense(dense_, x, products);
  } else {
    sum = experts(x, products);
    if (shared_.inner.defined()) {
      const at::Tensor shared = dense(shared_, x, products);
      sum.add_(shared_gate_.defined() ? shared * at::sigmoid(linear(x, shared_gate_)) : shared);
    }
  }
  gang_.all_reduce(sum);
  return sum;
}

double FeedForward::active_elements() const {
  double elements = 0;
  for (const at::Tensor& product : products()) elements += static_cast<double>(product.numel());
  if (facts_.count == 0) return elements;
  const double all = static_cast<double>(dense_.inner.numel() + dense_.down.numel());
  return elements + all / static_cast<double>(facts_.count) * static_cast<double>(facts_.chosen - 1) +
         static_cast<double>(router_.numel());
}

std::vector<at::Tensor> FeedForward::products() const {
  const Dense one = facts_.count == 0 ? dense_ : expert(0);
  std::vector<at::Tensor> all = {one.inner, one.down};
  if (shared_.inner.defined()) all.insert(all.end(), {shared_.inner, shared_.down});
  return all;
}

}  // namespace proctor
