#include "worker/models/row_parallel.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>

#include <optional>

#include "worker/kernels/skinny_gemm.h"

namespace proctor {

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, Products products) {
  const bool skinny = x.dim() == 2 && x.size(0) <= kSkinnyRows;
  if (products == Products::streamed && skinny && x.is_cpu() && x.scalar_type() == at::kFloat) {
    const at::Tensor out = skinny_gemm(x, weight);
    return bias.defined() ? out.add_(bias) : out;
  }
  return at::linear(x, weight, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt);
}

at::Tensor row_parallel(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, Communicator& gang,
                        Products products) {
  at::Tensor sum = linear(x, weight, gang.rank() == 0 ? bias : at::Tensor(), products);
  gang.all_reduce(sum);
  return sum;
}

}  // namespace proctor
