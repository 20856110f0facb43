// gtest's main, for tests that compute: PROCTOR_TEST_ISA limits the instruction set, as it does in a worker.
#include <gtest/gtest.h>

#include "worker/base/instruction_set.h"

int main(int argc, char** argv) {
  proctor::limit_libraries_to_test_isa();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
