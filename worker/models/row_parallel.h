// Megatron's tensor parallelism (Shoeybi et al. 2019, arXiv:1909.08053): each member has some columns of a weight that
// what it computed alone goes through, and the sums are added up. Compute thread only.
#pragma once

#include <ATen/core/Tensor.h>

#include "worker/checkpoint/tensor_parallel.h"
#include "worker/communicator/communicator.h"

namespace proctor {

/// What a member of this gang holds.
inline Share share_of(const Communicator& gang) { return {gang.rank(), gang.size()}; }

/// How products are computed: by the library, or, for the few rows of a decoding step in float32 on the CPU, by
/// kernels/skinny_gemm.h. Both are right to rounding, and a row scored alone or in a batch is computed the same way.
enum class Products { packed, streamed };

/// x weight^T + bias; the bias may be undefined.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias = {},
                  Products products = Products::packed);

/// Collective. linear() of all members' columns: x [rows, its columns] -> [rows, outputs], the same in every member.
/// The bias is added once, by member 0.
at::Tensor row_parallel(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, Communicator& gang,
                        Products products = Products::packed);

}  // namespace proctor
