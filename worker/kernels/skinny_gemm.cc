#include "worker/kernels/skinny_gemm.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>

#include "sharding/protocol/error.h"
#include "worker/kernels/for_each_isa.h"

namespace proctor {
namespace {

constexpr std::int64_t kLanes = 16, kTile = 4;  // a tile of kTile x kTile outputs has kLanes partial sums of each
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

PROCTOR_INLINE void load(const float* from, Lanes& to) { std::memcpy(&to, from, sizeof to); }

/// Lane o of the result is the sum of all lanes of sums[o]: each step halves the partial sums of an output and doubles
/// the outputs that a vector holds.
PROCTOR_INLINE void add_up(Lanes (&sums)[kLanes], Lanes& out) {
  for (int i = 0; i < 8; ++i)
    sums[i] =
        __builtin_shufflevector(sums[2 * i], sums[2 * i + 1], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
        __builtin_shufflevector(sums[2 * i], sums[2 * i + 1], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30,
                                31);
  for (int i = 0; i < 4; ++i)
    sums[i] = __builtin_shufflevector(sums[2 * i], sums[2 * i + 1], 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25,
                                      26, 27) +
              __builtin_shufflevector(sums[2 * i], sums[2 * i + 1], 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29,
                                      30, 31);
  for (int i = 0; i < 2; ++i)
    sums[i] = __builtin_shufflevector(sums[2 * i], sums[2 * i + 1], 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25,
                                      28, 29) +
              __builtin_shufflevector(sums[2 * i], sums[2 * i + 1], 2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27,
                                      30, 31);
  out = __builtin_shufflevector(sums[0], sums[1], 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
        __builtin_shufflevector(sums[0], sums[1], 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

/// out[i * kTile + j] = x[i] . w[j]; every row has `inputs` values. What lies `ahead` floats behind the weights (0:
/// none) is fetched meanwhile: the core alone does not look so far.
PROCTOR_INLINE void tile(const float* const (&x)[kTile], const float* const (&w)[kTile], std::int64_t inputs,
                         std::int64_t ahead, float (&out)[kLanes]) {
  Lanes sums[kLanes] = {};
  std::int64_t k = 0;
  for (; k + kLanes <= inputs; k += kLanes) {
    Lanes left[kTile], right[kTile];
    for (int i = 0; i < kTile; ++i) load(x[i] + k, left[i]);
    for (int j = 0; j < kTile; ++j) load(w[j] + k, right[j]);
    if (ahead > 0)
      for (int j = 0; j < kTile; ++j) __builtin_prefetch(w[j] + k + ahead);
    for (int i = 0; i < kTile; ++i)
      for (int j = 0; j < kTile; ++j) sums[i * kTile + j] += left[i] * right[j];
  }
  Lanes all;
  add_up(sums, all);
  std::memcpy(out, &all, sizeof all);
  for (; k < inputs; ++k)
    for (int i = 0; i < kTile; ++i)
      for (int j = 0; j < kTile; ++j) out[i * kTile + j] += x[i][k] * w[j][k];
}

struct Sizes {
  std::int64_t rows, inputs, outputs, x_stride, weight_stride;
};

/// Outputs [begin, end).
PROCTOR_INLINE void product(const float* x, const float* weight, float* out, const Sizes& sizes, std::int64_t begin,
                            std::int64_t end) {
  for (std::int64_t n = begin; n < end; n += kTile) {
    const float* w[kTile];
    for (std::int64_t j = 0; j < kTile; ++j) w[j] = weight + std::min(n + j, end - 1) * sizes.weight_stride;
    for (std::int64_t m = 0; m < sizes.rows; m += kTile) {
      const float* left[kTile];  // past the last row: the last one
      for (std::int64_t i = 0; i < kTile; ++i) left[i] = x + std::min(m + i, sizes.rows - 1) * sizes.x_stride;
      float sums[kLanes];
      const std::int64_t ahead = m == 0 && n + 2 * kTile <= end ? kTile * sizes.weight_stride : 0;
      tile(left, w, sizes.inputs, ahead, sums);
      for (std::int64_t i = 0; i < std::min(kTile, sizes.rows - m); ++i)
        for (std::int64_t j = 0; j < std::min(kTile, end - n); ++j)
          out[(m + i) * sizes.outputs + n + j] = sums[i * kTile + j];
    }
  }
}

}  // namespace

at::Tensor skinny_gemm(const at::Tensor& x, const at::Tensor& weight) {
  PROCTOR_CHECK(
      x.dim() == 2 && weight.dim() == 2 && x.size(1) == weight.size(1) && x.stride(1) == 1 && weight.stride(1) == 1,
      "rows are dense and as long as the weight's");
  const at::Tensor out = at::empty({x.size(0), weight.size(0)}, x.options());
  const Sizes sizes{x.size(0), x.size(1), weight.size(0), x.stride(0), weight.stride(0)};
  const std::int64_t tiles = (sizes.outputs + kTile - 1) / kTile;
  at::parallel_for(0, tiles, 16, [&](std::int64_t first, std::int64_t last) {
    const float *left = x.const_data_ptr<float>(), *right = weight.const_data_ptr<float>();
    float* to = out.data_ptr<float>();
    const std::int64_t begin = first * kTile, end = std::min(last * kTile, sizes.outputs);
    for_this_isa([&]() PROCTOR_INLINE_BODY { product(left, right, to, sizes, begin, end); });
  });
  return out;
}

}  // namespace proctor
