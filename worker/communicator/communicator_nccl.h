// A gang of GPU workers over NCCL: raw, non-blocking, polled under a deadline. Logic only; the library comes in as
// Nccl.
#pragma once

#include <memory>
#include <string>

#include "worker/communicator/communicator.h"
#include "worker/communicator/nccl.h"

namespace proctor {

/// Member 0: where the others find it. Text (hexadecimal), to be relayed. Throws GangError.
std::string make_nccl_address(Nccl& nccl);

/// `address`: member 0's. `nccl` must outlive it. `device`: where agreements are exchanged. Throws GangError for an
/// address that is none.
std::unique_ptr<Communicator> make_nccl_communicator(Nccl& nccl, const std::string& address, std::uint32_t rank,
                                                     std::uint32_t size, const at::Device& device);

}  // namespace proctor
