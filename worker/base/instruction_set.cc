#include "worker/base/instruction_set.h"

#include <algorithm>
#include <cstdlib>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

InstructionSet of_this_cpu() {
  if (__builtin_cpu_supports("x86-64-v4")) return InstructionSet::avx512;
  if (__builtin_cpu_supports("x86-64-v3")) return InstructionSet::avx2;
  return InstructionSet::baseline;
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
