// Calls of C libraries that report an error by longjmp.
#pragma once

#include <csetjmp>

namespace proctor {

/// Runs step(); false where it was left by a jump to `jump`. step: calls of the library alone, since what it holds in
/// C++ is not destroyed.
template <class Step>
bool returns(std::jmp_buf& jump, const Step& step) {
  if (setjmp(jump) != 0) return false;
  step();
  return true;
}

}  // namespace proctor
