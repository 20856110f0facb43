// A loop that is compiled for newer CPUs too, the version chosen when the program starts. For loops of integers or of
// explicit std::fma alone: their results are the same either way, so that they are not part of a result's identity.
#pragma once

// clang 14 and sanitizers do without.
#if defined(__SANITIZE_ADDRESS__) || defined(__clang__)
#define PROCTOR_ALSO_FOR_AVX2
#define PROCTOR_ALSO_FOR_FMA
#else
#define PROCTOR_ALSO_FOR_AVX2 __attribute__((target_clones("avx2", "default")))
#define PROCTOR_ALSO_FOR_FMA __attribute__((target_clones("fma", "default")))
#endif
