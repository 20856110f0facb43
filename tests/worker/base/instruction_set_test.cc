#include "worker/base/instruction_set.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

/// PROCTOR_TEST_ISA as given, and afterwards as it was.
struct Asked {
  std::string before = std::getenv("PROCTOR_TEST_ISA") ? std::getenv("PROCTOR_TEST_ISA") : "";
  explicit Asked(const char* name) { setenv("PROCTOR_TEST_ISA", name, 1); }
  ~Asked() { setenv("PROCTOR_TEST_ISA", before.c_str(), 1); }
};

TEST(InstructionSet, without_the_variable_nothing_is_limited) {
  const Asked none("");
  EXPECT_FALSE(test_isa());
  unsetenv("ONEDNN_MAX_CPU_ISA");
  limit_libraries_to_test_isa();
  EXPECT_EQ(std::getenv("ONEDNN_MAX_CPU_ISA"), nullptr);
}

TEST(InstructionSet, a_setting_reaches_every_library) {
  const Asked avx2("avx2");
  limit_libraries_to_test_isa();
  EXPECT_STREQ(std::getenv("ATEN_CPU_CAPABILITY"), "avx2");
  EXPECT_STREQ(std::getenv("ONEDNN_MAX_CPU_ISA"), "AVX2");
  EXPECT_STREQ(std::getenv("MKL_ENABLE_INSTRUCTIONS"), "AVX2");
  EXPECT_EQ(test_isa()->own, InstructionSet::avx2);
}

TEST(InstructionSet, an_unknown_setting_is_refused_with_those_there_are) {
  const Asked neon("neon");
  try {
    (void)test_isa();
    FAIL() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "PROCTOR_TEST_ISA=neon is not known (known: avx2, avx512, avx512_bf16, amx)");
  }
}

}  // namespace
}  // namespace proctor
