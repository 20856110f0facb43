// What proctor's exit code may be. Those of errors are exit_code()'s (sharding/protocol/error.h).
#pragma once

namespace proctor {

enum ExitCode {
  kDone = 0,
  kInternal = 1,
  kUsage = 2,
  kSomeFailed = 3,
  kEnvironment = 4,
  kInput = 5,
  kWorse = 6,  ///< of proctor compare --fail-if-worse
  kStoppedEarly = 75,
  kInterrupted = 130
};

}  // namespace proctor
