#include "worker/kernels/token_tensor.h"

#include <ATen/ops/tensor.h>

namespace proctor {

at::Tensor token_tensor(std::span<const TokenId> values, const at::Device& device) {
  return at::tensor(at::ArrayRef(values.data(), values.size()), at::kInt).to(at::kLong).to(device);
}

}  // namespace proctor
