#include "worker/models/row_parallel.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include <optional>

namespace proctor {
namespace {

// MKL's float32 product of 8 to 15 rows, as a decoding step has them, takes up to half as long again with the rows as
// its left factor as with the weight there (docs/performance.md).
constexpr std::int64_t kFewRows = 8, kEnoughRows = 16;

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const bool few_rows = x.dim() == 2 && x.size(0) >= kFewRows && x.size(0) < kEnoughRows;
  if (few_rows && x.is_cpu() && x.scalar_type() == at::kFloat) {
    const at::Tensor out = at::mm(weight, x.t()).t().contiguous();
    return bias.defined() ? out + bias : out;
  }
  return at::linear(x, weight, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt);
}

at::Tensor row_parallel(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, Communicator& gang) {
  at::Tensor sum = linear(x, weight, gang.rank() == 0 ? bias : at::Tensor());
  gang.all_reduce(sum);
  return sum;
}

}  // namespace proctor
