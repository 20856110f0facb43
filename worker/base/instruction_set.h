// Which instructions this process computes with. It is the CPU's best, and part of a result's identity; tests limit it
// to less than that by the environment variable PROCTOR_TEST_ISA, so that one machine can try what others would
// compute.
#pragma once

#include <array>
#include <optional>
#include <string>

namespace proctor {

/// What proctor's own loops are compiled for: x86-64-v1 (baseline), v3 (AVX2 and FMA), v4 (AVX-512).
enum class InstructionSet { baseline, avx2, avx512 };

/// Of this process, found out once.
InstructionSet instruction_set();

/// A setting of PROCTOR_TEST_ISA, and what it asks of the libraries: ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA,
/// MKL_ENABLE_INSTRUCTIONS. They differ in the last bits from one another.
struct TestIsa {
  const char *name, *aten, *onednn, *mkl;
  InstructionSet own;
};
inline constexpr std::array<TestIsa, 4> kTestIsas = {{
    {"avx2", "avx2", "AVX2", "AVX2", InstructionSet::avx2},
    {"avx512", "avx512", "AVX512_CORE", "AVX512", InstructionSet::avx512},
    {"avx512_bf16", "avx512", "AVX512_CORE_BF16", "AVX512", InstructionSet::avx512},
    {"amx", "avx512", "AVX512_CORE_AMX", "AVX512", InstructionSet::avx512},
}};

/// The setting that PROCTOR_TEST_ISA names, nothing without it. Throws UsageError for an unknown name.
std::optional<TestIsa> test_isa();

/// Hands test_isa() on to the libraries, through the environment that they read at their first call: to be called
/// before it, by the only thread. Does nothing without PROCTOR_TEST_ISA.
void limit_libraries_to_test_isa();

}  // namespace proctor
