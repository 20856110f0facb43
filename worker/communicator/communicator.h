// What the members of a gang say to each other while they compute. Implementations: solo (a gang of one), shared memory
// (a gang of CPU workers of one node), NCCL. Owned by the gang, used by its compute thread; only abort() may come from
// another one. No collective call in a destructor: a communicator ends by close() or abort().
//
// A step is what members do in lockstep between two agreements (one shard). A member that has to leave a step early
// says so by agree(); the others' collectives of that step then throw StepAbandoned, and they agree too: all leave
// together and the next step begins in step.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "sharding/protocol/descriptor.h"
#include "worker/base/clock.h"

namespace proctor {

/// Another member did not come, or the gang was aborted: nothing more can be computed together.
struct GangError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// Another member left this step early; call agree() to learn why.
struct StepAbandoned : std::runtime_error {
  StepAbandoned() : std::runtime_error("another member left the step") {}
};

/// How a member ends a step; of several the worst counts.
enum class StepEnd : std::uint32_t { done, out_of_memory, failed };

/// One member's end of a gang.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual std::uint32_t rank() const = 0;
  virtual std::uint32_t size() const = 0;

  /// Collective, the first call: waits until every member has come. Throws GangError past the deadline.
  virtual void join(Deadline deadline) = 0;

  // Collective: every member calls the same ones in the same order. Tensors are contiguous, on the member's device, of
  // equal shape and dtype. Throw StepAbandoned, or GangError past the time set by wait_at_most.

  /// The sum over members, in place, the same bytes every time: shared memory adds in rank order, 16-bit types in
  /// float32; NCCL by its ring.
  virtual void all_reduce(at::Tensor& tensor) = 0;
  /// [size, ...tensor's shape]: every member's tensor, in rank order.
  virtual at::Tensor all_gather(const at::Tensor& tensor) = 0;
  /// Root's tensor, into everybody's.
  virtual void broadcast(at::Tensor& tensor, std::uint32_t root) = 0;
  virtual void barrier() = 0;
  /// Ends a step; returns the worst of all members' ends.
  virtual StepEnd agree(StepEnd mine) = 0;

  /// How long a collective may wait for the others.
  virtual void wait_at_most(std::chrono::duration<double> patience) = 0;
  /// Called once in a wait for another member that has become long; where that can be told.
  virtual void on_long_wait(std::function<void()>) {}
  /// What asynchronous work left behind, before teardown: "" if the communicator is sound.
  virtual std::string error() = 0;
  /// True if agree() may be called in the middle of a step; else a member can leave one only by abort().
  virtual bool can_leave_step() const = 0;

  /// Collective. False if it did not end by the deadline, or ended badly. Nothing may be called after but abort().
  virtual bool close(Deadline deadline) = 0;
  /// Not collective, from any thread: gives up at once; waiting members throw GangError. May block (NCCL): the caller
  /// runs it on a thread that it can leave behind.
  virtual void abort() = 0;
};

std::unique_ptr<Communicator> make_solo_communicator();

/// `memory`: gang_memory_bytes(size) of zeros, made by the agent. Throws EnvironmentError if it cannot be mapped.
std::unique_ptr<Communicator> make_shared_memory_communicator(const Descriptor& memory, std::uint32_t rank,
                                                              std::uint32_t size);

}  // namespace proctor
