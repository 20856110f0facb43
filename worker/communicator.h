// What the members of a gang say to each other. Implementations: solo (a gang of one); shared memory and NCCL come with
// tensor parallelism. No collective call in a destructor: a communicator ends by close() or abort().
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <memory>

namespace proctor {

using Deadline = std::chrono::steady_clock::time_point;

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual std::uint32_t rank() const = 0;
  virtual std::uint32_t size() const = 0;
  /// Collective: true if every member passed true. Throws past the deadline.
  virtual bool agree(bool mine, Deadline deadline) = 0;
  /// Collective: the sum over members, in rank order, into `tensor`.
  virtual void all_reduce(at::Tensor& tensor) = 0;
  /// Collective; false if it did not end by the deadline. Nothing may be called after.
  virtual bool close(Deadline deadline) = 0;
  /// Not collective: gives up at once.
  virtual void abort() = 0;
};

std::unique_ptr<Communicator> make_solo_communicator();

}  // namespace proctor
