// The dozen NCCL calls that are used, as an interface, so that a fake can stand in which enforces NCCL's contract. The
// real one is in the CUDA half (nccl_library.cc) and adds nothing. Communicators are made with blocking = 0: a call may
// answer in_progress, and is then finished only when get_async_error no longer says so.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>

namespace proctor {

/// ncclResult_t's values.
enum class NcclResult : int {
  success = 0,
  unhandled_cuda_error = 1,
  system_error = 2,
  internal_error = 3,
  invalid_argument = 4,
  invalid_usage = 5,
  remote_error = 6,
  in_progress = 7
};

using NcclId = std::array<char, 128>;  ///< ncclUniqueId
using NcclComm = void*;                ///< ncclComm_t

class Nccl {
 public:
  virtual ~Nccl() = default;
  virtual NcclResult get_unique_id(NcclId& id) = 0;
  virtual NcclResult init_rank(NcclComm& comm, int size, const NcclId& id, int rank) = 0;
  virtual NcclResult get_async_error(NcclComm comm, NcclResult& state) = 0;
  // On the current stream of the tensors' device. Tensors are contiguous.
  virtual NcclResult all_reduce(NcclComm comm, at::Tensor& tensor) = 0;
  virtual NcclResult all_gather(NcclComm comm, const at::Tensor& tensor, at::Tensor& all) = 0;
  virtual NcclResult broadcast(NcclComm comm, at::Tensor& tensor, int root) = 0;
  virtual NcclResult finalize(NcclComm comm) = 0;
  virtual NcclResult destroy(NcclComm comm) = 0;
  virtual NcclResult abort(NcclComm comm) = 0;
  /// The library's own words.
  virtual std::string describe(NcclResult result) = 0;
};

}  // namespace proctor
