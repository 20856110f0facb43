// NCCL itself, call for call. Part of the CUDA half; compiled and linked everywhere, run where there is a GPU.
#include <c10/cuda/CUDAStream.h>
#include <nccl.h>

#include <cstdlib>
#include <cstring>

#include "sharding/protocol/error.h"
#include "worker/communicator/nccl.h"

namespace proctor {
namespace {

constexpr int kMaxCtas = 16;  // bounds a communicator's memory: some 10 MiB each of them and peer

ncclComm_t handle(NcclComm comm) { return static_cast<ncclComm_t>(comm); }
NcclResult result(ncclResult_t value) { return static_cast<NcclResult>(value); }
cudaStream_t stream(const at::Tensor& tensor) { return c10::cuda::getCurrentCUDAStream(tensor.device().index()); }

ncclDataType_t type(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return ncclFloat32;
    case at::kDouble:
      return ncclFloat64;
    case at::kBFloat16:
      return ncclBfloat16;
    case at::kHalf:
      return ncclFloat16;
    case at::kInt:
      return ncclInt32;
    case at::kLong:
      return ncclInt64;
    default:
      break;
  }
  throw Error(Fault::internal, "a tensor of this dtype cannot go through NCCL");
}

/// Before the first call. The last two fix the order of additions, so that bytes repeat.
void set_environment() {
  setenv("NCCL_NVLS_ENABLE", "0", /*overwrite=*/0);  // its allocation failing on one rank alone is a hang
  setenv("NCCL_RAS_ENABLE", "0", 0);                 // it listens on a port
  setenv("NCCL_RUNTIME_CONNECT", "0", 0);            // a communicator's memory is fixed when it is made
  setenv("NCCL_ALGO", "Ring", 1);
  setenv("NCCL_PROTO", "Simple", 1);
}

class Library final : public Nccl {
 public:
  Library() { set_environment(); }
  NcclResult get_unique_id(NcclId& id) override {
    ncclUniqueId native;
    static_assert(sizeof native == sizeof(NcclId));
    const ncclResult_t made = ncclGetUniqueId(&native);
    std::memcpy(id.data(), &native, sizeof native);
    return result(made);
  }
  NcclResult init_rank(NcclComm& comm, int size, const NcclId& id, int rank) override {
    ncclUniqueId native;
    std::memcpy(&native, id.data(), sizeof native);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    config.maxCTAs = kMaxCtas;
    ncclComm_t made = nullptr;
    const ncclResult_t begun = ncclCommInitRankConfig(&made, size, native, rank, &config);
    comm = made;
    return result(begun);
  }
  NcclResult get_async_error(NcclComm comm, NcclResult& state) override {
    ncclResult_t native = ncclSuccess;
    const ncclResult_t asked = ncclCommGetAsyncError(handle(comm), &native);
    state = result(native);
    return result(asked);
  }
  NcclResult all_reduce(NcclComm comm, at::Tensor& tensor) override {
    return result(ncclAllReduce(tensor.data_ptr(), tensor.data_ptr(), static_cast<std::size_t>(tensor.numel()),
                                type(tensor), ncclSum, handle(comm), stream(tensor)));
  }
  NcclResult all_gather(NcclComm comm, const at::Tensor& tensor, at::Tensor& all) override {
    return result(ncclAllGather(tensor.data_ptr(), all.data_ptr(), static_cast<std::size_t>(tensor.numel()),
                                type(tensor), handle(comm), stream(tensor)));
  }
  NcclResult broadcast(NcclComm comm, at::Tensor& tensor, int root) override {
    return result(ncclBroadcast(tensor.data_ptr(), tensor.data_ptr(), static_cast<std::size_t>(tensor.numel()),
                                type(tensor), root, handle(comm), stream(tensor)));
  }
  NcclResult finalize(NcclComm comm) override { return result(ncclCommFinalize(handle(comm))); }
  NcclResult destroy(NcclComm comm) override { return result(ncclCommDestroy(handle(comm))); }
  NcclResult abort(NcclComm comm) override { return result(ncclCommAbort(handle(comm))); }
  std::string describe(NcclResult value) override {
    const auto native = static_cast<ncclResult_t>(value);
    return std::string(ncclGetErrorString(native)) + " (" + ncclGetLastError(nullptr) + ")";
  }
};

}  // namespace
}  // namespace proctor

extern "C" proctor::Nccl* proctor_nccl() {
  static proctor::Library library;
  return &library;
}
