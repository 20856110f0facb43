#include "worker/kernels/packed_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "worker/kernels/attention.h"

namespace proctor {
namespace {

constexpr std::int64_t kNearQueries = 256;  // at once, where they see their neighbours alone

/// [1, 1, queries, keys]: -inf where a query and a key, which begin at these positions, are farther apart than `reach`.
at::Tensor near_mask(const at::Tensor& q, std::int64_t query, std::int64_t queries, std::int64_t key, std::int64_t keys,
                     std::int64_t reach) {
  const at::TensorOptions integers = q.options().dtype(at::kLong);
  const at::Tensor apart =
      at::arange(query, query + queries, integers).unsqueeze(1) - at::arange(key, key + keys, integers);
  return at::zeros({queries, keys}, q.options())
      .masked_fill_(apart.abs().gt(reach), -std::numeric_limits<float>::infinity())
      .view({1, 1, queries, keys});
}

/// [texts, heads, queries, head_dim], of queries and keys that see each other as far as `reach`.
at::Tensor attend_near(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale,
                       std::int64_t reach) {
  const at::Tensor out = at::empty(q.sizes(), q.options());
  for (std::int64_t first = 0; first < q.size(2); first += kNearQueries) {
    const std::int64_t count = std::min(kNearQueries, q.size(2) - first),
                       begin = std::max<std::int64_t>(0, first - reach),
                       keys = std::min(k.size(2), first + count + reach) - begin;
    const Attended some = attend(q.narrow(2, first, count), k.narrow(2, begin, keys), v.narrow(2, begin, keys),
                                 {scale, false, near_mask(q, first, count, begin, keys, reach)});
    out.narrow(2, first, count).copy_(some.out);
  }
  return out;
}

}  // namespace

std::vector<std::int32_t> first_tokens(std::span<const std::int64_t> lengths) {
  std::vector<std::int32_t> first;
  std::int32_t begin = 0;
  for (const std::int64_t length : lengths) {
    first.push_back(begin);
    begin += static_cast<std::int32_t>(length);
  }
  return first;
}

at::Tensor attend_texts(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        std::span<const std::int64_t> queries, std::span<const std::int64_t> keys,
                        const TextAttention& how) {
  const at::Tensor out = at::empty({q.size(0), q.size(1) * q.size(2)}, q.options());
  std::int64_t query = 0, key = 0;
  for (std::size_t first = 0, last = 0; first < queries.size(); first = last) {
    while (last < queries.size() && queries[last] == queries[first] && keys[last] == keys[first]) ++last;
    const auto count = static_cast<std::int64_t>(last - first), wide = queries[first], deep = keys[first];
    const auto part = [&](const at::Tensor& x, std::int64_t begin, std::int64_t length) {
      return x.narrow(0, begin, count * length).unflatten(0, {count, length}).transpose(1, 2);
    };
    const at::Tensor of_q = part(q, query, wide), of_k = part(k, key, deep), of_v = part(v, key, deep);
    const bool near = how.reach > 0 && deep > how.reach + 1;
    const at::Tensor attended =
        near ? attend_near(of_q, of_k, of_v, how.scale, how.reach)
             : attend(of_q, of_k, of_v, {how.scale, how.causal, how.bias ? how.bias(of_q, of_k) : at::Tensor()}).out;
    out.narrow(0, query, count * wide).copy_(attended.transpose(1, 2).flatten(2).flatten(0, 1));
    query += count * wide;
    key += count * deep;
  }
  return out;
}

}  // namespace proctor
