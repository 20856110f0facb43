#include "worker/kernels/attention.h"

#include <ATen/SDPBackend.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/_fused_sdp_choice.h>
#include <ATen/ops/_scaled_dot_product_efficient_attention.h>
#include <ATen/ops/_scaled_dot_product_flash_attention.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/full.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/triu.h>

#include <algorithm>
#include <limits>
#include <tuple>
#include <vector>

#include "sharding/protocol/error.h"

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

at::Tensor for_each_query_head(const at::Tensor& x, std::int64_t heads) {
  return x.size(1) == heads ? x : x.repeat_interleave(heads / x.size(1), 1);
}

/// The efficient kernel wants rows of a bias to begin at multiples of 16 bytes.
at::Tensor aligned(const at::Tensor& mask) {
  const std::int64_t keys = mask.size(3), padded = (keys + 15) / 16 * 16;
  at::Tensor wide = mask.new_empty({mask.size(0), mask.size(1), mask.size(2), padded}).narrow(3, 0, keys);
  return wide.copy_(mask);
}

/// The kernels want rows of 16 bytes: zeros behind a head change no product.
constexpr std::int64_t kRowBytes = 16;

Attended attend_on_cuda(const at::Tensor& q, const at::Tensor& all_k, const at::Tensor& all_v, const AttendSpec& spec) {
  const std::int64_t step = kRowBytes / q.element_size(), width = q.size(3);
  if (const std::int64_t missing = (step - width % step) % step; missing > 0) {
    const auto wider = [&](const at::Tensor& x) { return at::constant_pad_nd(x, {0, missing}); };
    const Attended padded = attend_on_cuda(wider(q), wider(all_k), wider(all_v), spec);
    return {padded.out.narrow(3, 0, width), padded.lse};
  }
  const at::Tensor k = for_each_query_head(all_k, q.size(1)), v = for_each_query_head(all_v, q.size(1));
  const std::int64_t choice = at::_fused_sdp_choice(q, k, v, given(spec.mask), 0.0, spec.causal, spec.scale, false);
  const bool flash = choice == static_cast<std::int64_t>(at::SDPBackend::flash_attention) ||
                     choice == static_cast<std::int64_t>(at::SDPBackend::cudnn_attention);
  if (flash && !spec.mask.defined()) {
    const auto result = at::_scaled_dot_product_flash_attention(q, k, v, 0.0, spec.causal, false, spec.scale);
    return {std::get<0>(result), std::get<1>(result).narrow(2, 0, q.size(2))};
  }
  std::optional<at::Tensor> bias;
  if (spec.mask.defined()) bias = aligned(spec.mask).expand({q.size(0), q.size(1), q.size(2), k.size(2)});
  const auto result = at::_scaled_dot_product_efficient_attention(q, k, v, bias, true, 0.0, spec.causal, spec.scale);
  return {std::get<0>(result), std::get<1>(result).narrow(2, 0, q.size(2))};  // the kernel pads to 32 queries
}

}  // namespace

namespace {

constexpr std::int64_t kCappedQueries = 256;  // at once, so that memory grows with the keys alone

/// No kernel of ATen has a soft cap. Some queries at a time, of which a causal one sees no key behind it.
Attended attend_capped(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttendSpec& spec) {
  std::vector<at::Tensor> out, lse;
  for (std::int64_t first = 0; first < q.size(2); first += kCappedQueries) {
    const std::int64_t count = std::min(kCappedQueries, q.size(2) - first);
    const std::int64_t keys = spec.causal ? first + count : k.size(2);
    AttendSpec part{spec.scale, false, spec.mask, spec.soft_cap};
    if (spec.mask.defined()) part.mask = spec.mask.narrow(2, first, count);
    if (spec.causal)
      part.mask =
          at::triu(at::full({1, 1, count, keys}, -std::numeric_limits<float>::infinity(), q.options()), first + 1);
    const Attended some = attend_reference(q.narrow(2, first, count), k.narrow(2, 0, keys), v.narrow(2, 0, keys), part);
    out.push_back(some.out);
    lse.push_back(some.lse);
  }
  return {at::cat(out, 2), at::cat(lse, 2)};
}

}  // namespace

Attended attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttendSpec& spec) {
  check(q, k, spec);
  if (spec.soft_cap > 0) return attend_capped(q, k, v, spec);
  if (!q.is_cpu()) return attend_on_cuda(q, k, v, spec);
  const auto [out, lse] =
      at::_scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, spec.causal, given(spec.mask), spec.scale);
  return {out, lse};
}

Attended attend_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttendSpec& spec) {
  check(q, k, spec);
  const at::Tensor keys = for_each_query_head(k, q.size(1)).to(at::kFloat),
                   values = for_each_query_head(v, q.size(1)).to(at::kFloat);
  at::Tensor scores = at::matmul(q.to(at::kFloat), keys.transpose(2, 3)) * spec.scale;
  if (spec.soft_cap > 0) scores = scores.div_(spec.soft_cap).tanh_().mul_(spec.soft_cap);
  if (spec.mask.defined()) scores = scores + spec.mask.to(at::kFloat);
  if (spec.causal)
    scores = scores +
             at::triu(at::full({q.size(2), k.size(2)}, -std::numeric_limits<float>::infinity(), scores.options()), 1);
  return {at::matmul(at::softmax(scores, -1), values).to(q.scalar_type()), at::logsumexp(scores, {-1})};
}

void join(Attended& a, const Attended& b) {
  a.out.lerp_(b.out.to(at::kFloat), at::sigmoid(b.lse - a.lse).unsqueeze(-1));
  at::logaddexp_out(a.lse, a.lse, b.lse);
}

}  // namespace proctor
