// INTERFACE: the exit codes, in one place.
#pragma once

#include "sharding/protocol/error.h"

namespace proctor {

enum ExitCode {
  kDone = 0,
  kInternal = 1,
  kUsage = 2,
  kSomeFailed = 3,
  kEnvironment = 4,
  kInput = 5,
  kStoppedEarly = 75,
  kInterrupted = 130
};

inline int exit_code(Fault fault) {
  switch (fault) {
    case Fault::usage:
      return kUsage;
    case Fault::environment:
      return kEnvironment;
    case Fault::input:
      return kInput;
    case Fault::internal:
      break;
  }
  return kInternal;
}

}  // namespace proctor
