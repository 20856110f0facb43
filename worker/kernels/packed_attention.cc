#include "worker/kernels/packed_attention.h"

#include <ATen/ops/empty.h>

#include "worker/kernels/attention.h"

namespace proctor {

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
                        std::span<const std::int64_t> queries, std::span<const std::int64_t> keys, double scale,
                        const PositionBias& bias) {
  const at::Tensor out = at::empty({q.size(0), q.size(1) * q.size(2)}, q.options());
  std::int64_t query = 0, key = 0;
  for (std::size_t first = 0, last = 0; first < queries.size(); first = last) {
    while (last < queries.size() && queries[last] == queries[first] && keys[last] == keys[first]) ++last;
    const auto count = static_cast<std::int64_t>(last - first), wide = queries[first], deep = keys[first];
    const auto part = [&](const at::Tensor& x, std::int64_t begin, std::int64_t length) {
      return x.narrow(0, begin, count * length).unflatten(0, {count, length}).transpose(1, 2);
    };
    const Attended attended = attend(part(q, query, wide), part(k, key, deep), part(v, key, deep),
                                     {scale, false, bias ? bias(wide, deep) : at::Tensor()});
    out.narrow(0, query, count * wide).copy_(attended.out.transpose(1, 2).flatten(2).flatten(0, 1));
    query += count * wide;
    key += count * deep;
  }
  return out;
}

}  // namespace proctor
