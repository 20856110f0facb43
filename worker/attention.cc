#include "worker/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/triu.h>

#include <limits>
#include <tuple>

#include "sharding/error.h"

namespace proctor {
namespace {

std::optional<at::Tensor> given(const at::Tensor& mask) {
  return mask.defined() ? std::optional<at::Tensor>(mask) : std::nullopt;
}

void check(const at::Tensor& q, const at::Tensor& k, const AttendSpec& spec) {
  PROCTOR_CHECK(q.size(2) > 0 && k.size(2) > 0, "attention needs a query and a key");
  PROCTOR_CHECK(q.size(1) % k.size(1) == 0, "query heads must be a multiple of key heads");
  PROCTOR_CHECK(!spec.causal || (q.size(2) == k.size(2) && !spec.mask.defined()),
                "causal means as many queries as keys");
}

}  // namespace

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttendSpec& spec) {
  check(q, k, spec);
  if (q.is_cpu())
    return std::get<0>(
        at::_scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, spec.causal, given(spec.mask), spec.scale));
  return at::scaled_dot_product_attention(q, k, v, given(spec.mask), 0.0, spec.causal, spec.scale, /*enable_gqa=*/true);
}

at::Tensor attend_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttendSpec& spec) {
  check(q, k, spec);
  const auto groups = q.size(1) / k.size(1);
  const at::Tensor keys = k.repeat_interleave(groups, 1).to(at::kFloat),
                   values = v.repeat_interleave(groups, 1).to(at::kFloat);
  at::Tensor scores = at::matmul(q.to(at::kFloat), keys.transpose(2, 3)) * spec.scale;
  if (spec.mask.defined()) scores = scores + spec.mask.to(at::kFloat);
  if (spec.causal)
    scores = scores +
             at::triu(at::full({q.size(2), k.size(2)}, -std::numeric_limits<float>::infinity(), scores.options()), 1);
  return at::matmul(at::softmax(scores, -1), values).to(q.scalar_type());
}

}  // namespace proctor
