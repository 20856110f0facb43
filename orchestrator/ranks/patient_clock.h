// A monotonic clock for deadlines. A stretch in which this process itself stood still (stopped, swapped out) counts as
// one second at most, so that its own stall is taken for nobody's silence: what they said meanwhile is read first.
#pragma once

#include <algorithm>

#include "sharding/protocol/moment.h"

namespace proctor {

class PatientClock {
 public:
  /// To be called in each round of a loop; `real`: of a clock that never stands still.
  Moment tick(Moment real) {
    now_ += std::min(real - last_, Moment(1));
    last_ = real;
    return now_;
  }
  Moment now() const { return now_; }

 private:
  Moment last_{0}, now_{0};
};

}  // namespace proctor
