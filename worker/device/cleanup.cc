#include "worker/device/cleanup.h"

#include "worker/base/clock.h"

namespace proctor {

void BatchCleanup::after_batch() {
  ++batches_;
  timed([&] {
    if (due()) empty();
  });
}

void BatchCleanup::after_out_of_memory() {
  if (policy_.policy != Cleanup::Policy::never) timed([&] { empty(); });
}

bool BatchCleanup::due() {
  switch (policy_.policy) {
    case Cleanup::Policy::never:
    case Cleanup::Policy::on_oom:
      return false;
    case Cleanup::Policy::always:
      return true;
    case Cleanup::Policy::every:
      return batches_ % policy_.every == 0;
    case Cleanup::Policy::watermark:
      break;
  }
  const DeviceMemory memory = device_.memory();
  return static_cast<double>(memory.total_bytes ? memory.free_bytes : 1) <
         policy_.watermark * static_cast<double>(memory.total_bytes);
}

void BatchCleanup::empty() {
  device_.synchronize();
  device_.empty_cache();
  ++cleanups_;
}

template <class Act>
void BatchCleanup::timed(Act&& act) {
  const auto begin = Clock::now();
  act();
  seconds_ += seconds_since(begin);
}

}  // namespace proctor
