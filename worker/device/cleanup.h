// Per-batch cleanup: when caches are emptied between batches, and what that cost. Compute thread only.
#pragma once

#include "sharding/protocol/module.h"
#include "worker/device/device.h"

namespace proctor {

class BatchCleanup {
 public:
  BatchCleanup(const Cleanup& policy, Device& device) : policy_(policy), device_(device) {}

  /// After the batch's tensors went out of scope.
  void after_batch();
  /// After an out-of-memory was caught, outside its catch block: every policy but `never` empties.
  void after_out_of_memory();

  std::uint64_t batches() const { return batches_; }
  std::uint64_t cleanups() const { return cleanups_; }
  double seconds() const { return seconds_; }  ///< looking and emptying

 private:
  bool due();
  void empty();
  template <class Act>
  void timed(Act&& act);

  Cleanup policy_;
  Device& device_;
  std::uint64_t batches_ = 0, cleanups_ = 0;
  double seconds_ = 0;
};

}  // namespace proctor
