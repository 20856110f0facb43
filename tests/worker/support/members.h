// A gang whose members are threads of the test, over real shared memory.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <future>
#include <vector>

#include "sharding/protocol/gang_memory.h"
#include "worker/communicator/communicator.h"

namespace proctor {

class Members {
 public:
  explicit Members(std::uint32_t size) : size_(size), memory_(::memfd_create("test", MFD_CLOEXEC)) {
    EXPECT_EQ(::ftruncate(memory_.value(), static_cast<off_t>(gang_memory_bytes(size))), 0);
  }
  /// Runs body(communicator) as every member and joins; what it throws comes out of the member's future.
  template <class Body>
  std::vector<std::future<void>> run(Body body) {
    std::vector<std::future<void>> members;
    for (std::uint32_t rank = 0; rank < size_; ++rank)
      members.push_back(std::async(std::launch::async, [=, this] {
        const auto communicator = make_shared_memory_communicator(memory_, rank, size_);
        communicator->wait_at_most(std::chrono::seconds(20));
        communicator->join(after(std::chrono::seconds(20)));
        body(*communicator);
      }));
    for (auto& member : members) member.wait();
    return members;
  }

 private:
  std::uint32_t size_;
  Descriptor memory_;
};

inline void expect_well(std::vector<std::future<void>> members) {
  for (auto& member : members) EXPECT_NO_THROW(member.get());
}

}  // namespace proctor
