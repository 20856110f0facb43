// A monotonic clock for deadlines. A stretch in which this process itself stood still (stopped, swapped out) counts as
// one second at most, so that its own stall is taken for nobody's silence: what they said meanwhile is read first.
#pragma once

#include <algorithm>
#include <chrono>

#include "sharding/protocol/moment.h"

namespace proctor {

class PatientClock {
 public:
  /// To be called in each round of a loop.
  Moment tick() {
    const auto real = std::chrono::steady_clock::now();
    now_ += std::min<Moment>(real - last_, Moment(1));
    last_ = real;
    return now_;
  }
  Moment now() const { return now_; }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  Moment now_{0};
};

}  // namespace proctor
