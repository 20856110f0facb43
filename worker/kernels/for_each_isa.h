// Loops compiled for each instruction set; which one runs is part of a result's identity (DeviceFacts).
#pragma once

#include "worker/base/instruction_set.h"

#define PROCTOR_INLINE inline __attribute__((always_inline))
#define PROCTOR_INLINE_BODY __attribute__((always_inline))

namespace proctor {

template <class Body>
[[gnu::target("arch=x86-64-v4")]] void run_with_avx512(const Body& body) {
  body();
}
template <class Body>
[[gnu::target("arch=x86-64-v3")]] void run_with_avx2(const Body& body) {
  body();
}

/// Runs body(), a lambda marked PROCTOR_INLINE_BODY, as compiled for this process's instruction set. What it calls has
/// to be PROCTOR_INLINE: a function of its own would be compiled for the baseline.
template <class Body>
void for_this_isa(const Body& body) {
  switch (instruction_set()) {
    case InstructionSet::avx512:
      return run_with_avx512(body);
    case InstructionSet::avx2:
      return run_with_avx2(body);
    case InstructionSet::baseline:
      return body();
  }
}

}  // namespace proctor
