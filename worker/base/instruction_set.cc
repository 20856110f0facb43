#include "worker/base/instruction_set.h"

#include <algorithm>
#include <cstdlib>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

/// x86-64-v3 and v4 by their parts (clang 14 does not know the names).
InstructionSet of_this_cpu() {
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                  __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return v4 ? InstructionSet::avx512 : v3 ? InstructionSet::avx2 : InstructionSet::baseline;
}

}  // namespace

std::optional<TestIsa> test_isa() {
  const char* wanted = std::getenv("PROCTOR_TEST_ISA");
  if (!wanted || !*wanted) return std::nullopt;
  std::string known;
  for (const TestIsa& isa : kTestIsas) {
    if (std::string(wanted) == isa.name) return isa;
    known += (known.empty() ? "" : ", ") + std::string(isa.name);
  }
  throw UsageError("PROCTOR_TEST_ISA=" + std::string(wanted) + " is not known (known: " + known + ")");
}

InstructionSet instruction_set() {
  static const InstructionSet found = [] {
    const std::optional<TestIsa> limit = test_isa();
    return limit ? std::min(limit->own, of_this_cpu()) : of_this_cpu();
  }();
  return found;
}

void limit_libraries_to_test_isa() {
  const std::optional<TestIsa> limit = test_isa();
  if (!limit) return;
  setenv("ATEN_CPU_CAPABILITY", limit->aten, 1);
  setenv("ONEDNN_MAX_CPU_ISA", limit->onednn, 1);
  setenv("MKL_ENABLE_INSTRUCTIONS", limit->mkl, 1);
}

}  // namespace proctor
