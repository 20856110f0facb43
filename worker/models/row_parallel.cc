#include "worker/models/row_parallel.h"

#include <ATen/ops/linear.h>

#include <optional>

namespace proctor {

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return at::linear(x, weight, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt);
}

at::Tensor row_parallel(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, Communicator& gang) {
  at::Tensor sum = linear(x, weight, gang.rank() == 0 ? bias : at::Tensor());
  gang.all_reduce(sum);
  return sum;
}

}  // namespace proctor
