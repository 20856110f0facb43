#include "worker/device/cpu_speed.h"

#include <ATen/Parallel.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <time.h>

#include <algorithm>

namespace proctor {
namespace {

/// Of this thread: other processes that start beside it do not count.
double seconds_computed() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

constexpr std::int64_t kRows = 256, kWidth = 1024;
constexpr double kEnough = 0.04;  // seconds

/// The best of some products, the first of which only makes what oneDNN and MKL need.
double flops_of(at::ScalarType type) {
  const at::Tensor a = at::ones({kRows, kWidth}, type), b = at::ones({kWidth, kWidth}, type);
  double best = 0;
  at::matmul(a, b);
  const double begin = seconds_computed();
  do {
    const double before = seconds_computed();
    at::matmul(a, b);
    best = std::max(best, 2.0 * kRows * kWidth * kWidth / (seconds_computed() - before));
  } while (seconds_computed() - begin < kEnough);
  return best;
}

}  // namespace

void measure_speed(DeviceFacts& facts) {
  if (facts.kind != "cpu") return;
  at::set_num_threads(1);
  facts.float32_flops = flops_of(at::kFloat);
  facts.bfloat16_flops = flops_of(at::kBFloat16);
}

}  // namespace proctor
