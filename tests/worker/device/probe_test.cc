#include "worker/device/probe.h"

#include <gtest/gtest.h>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

TEST(Probe, without_a_device_asking_for_cuda_is_refused) {
  EXPECT_THROW(
      {
        const DeviceFacts facts = probe(DeviceChoice::cuda);
        if (facts.kind != "cpu") throw EnvironmentError("there is one");
      },
      EnvironmentError);
}

TEST(Probe, says_what_this_machine_is) {
  const DeviceFacts facts = probe(DeviceChoice::cpu);
  EXPECT_EQ(facts.kind, "cpu");
  EXPECT_GT(facts.bytes, 0u);
  EXPECT_FALSE(facts.torch_version.empty() || facts.numerics.empty() || facts.instruction_set.empty());
}

}  // namespace
}  // namespace proctor
