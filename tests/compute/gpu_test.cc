// What needs a GPU; skips itself, visibly, where there is none.
#include <gtest/gtest.h>

#include <filesystem>

#include "sharding/error.h"
#include "worker/probe.h"

namespace proctor {
namespace {

TEST(Gpu, without_a_device_asking_for_cuda_is_refused_with_both_versions) {
  // The CUDA half lies beside proctor-worker, not beside this test, where it cannot be opened: refused either way.
  EXPECT_THROW(
      {
        const DeviceFacts facts = probe(DeviceChoice::cuda);
        if (facts.kind != "cpu") throw EnvironmentError("there is one");
      },
      EnvironmentError);
}

TEST(Gpu, memory_returns_to_its_baseline) {
  if (!std::filesystem::exists("/dev/nvidiactl")) GTEST_SKIP() << "no GPU: not run";
  const auto device = make_device(DeviceChoice::cuda, 0);
  device->synchronize();
  EXPECT_GT(device->memory().total_bytes, 0u);
}

}  // namespace
}  // namespace proctor
