#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "tests/worker/support/fake_device.h"
#include "worker/device/cleanup.h"
#include "worker/device/host_memory.h"

namespace proctor {
namespace {

TEST(CountingAllocator, counts_live_and_peak_bytes_exactly) {
  install_counting_allocator(0);
  const std::uint64_t before = host_counters().live_bytes;
  reset_host_peak();
  {
    const at::Tensor large = at::empty({1 << 20}, at::kFloat);
    EXPECT_GE(host_counters().live_bytes, before + (4u << 20));
  }
  EXPECT_EQ(host_counters().live_bytes, before);
  EXPECT_GE(host_counters().peak_bytes, before + (4u << 20));
}

TEST(CountingAllocator, past_its_limit_it_raises_cudas_error_type) {
  install_counting_allocator(host_counters().live_bytes + (1 << 20));
  EXPECT_THROW(at::empty({1 << 20}, at::kFloat), c10::OutOfMemoryError);
  EXPECT_NO_THROW(at::empty({1 << 10}, at::kFloat));
  install_counting_allocator(0);
}

TEST(BatchCleanup, each_policy_empties_when_it_says) {
  const auto cleanups = [](Cleanup policy, std::uint64_t free_bytes) {
    FakeDevice device;
    device.now.free_bytes = free_bytes;
    BatchCleanup cleanup(policy, device);
    for (int i = 0; i < 8; ++i) cleanup.after_batch();
    EXPECT_EQ(cleanup.batches(), 8u);
    return cleanup.cleanups();
  };
  EXPECT_EQ(cleanups({Cleanup::Policy::never, 0.2, 1, 0}, 0), 0u);
  EXPECT_EQ(cleanups({Cleanup::Policy::on_oom, 0.2, 1, 0}, 0), 0u);
  EXPECT_EQ(cleanups({Cleanup::Policy::always, 0.2, 1, 0}, 50), 8u);
  EXPECT_EQ(cleanups({Cleanup::Policy::every, 0.2, 3, 0}, 50), 2u);
  EXPECT_EQ(cleanups({Cleanup::Policy::watermark, 0.2, 1, 0}, 50), 0u);
  EXPECT_EQ(cleanups({Cleanup::Policy::watermark, 0.2, 1, 0}, 19), 8u);
}

TEST(CpuDevice, says_what_is_free_of_what_there_is) {
  const DeviceMemory memory = make_cpu_device()->memory();
  EXPECT_GT(memory.free_bytes, 0u);
  EXPECT_GT(memory.total_bytes, memory.free_bytes);
}

TEST(CpuDevice, under_a_limit_free_is_what_the_limit_leaves) {
  const std::uint64_t limit = host_counters().live_bytes + (8u << 20);
  install_counting_allocator(limit);
  const at::Tensor held = at::empty({1 << 20}, at::kByte);
  const DeviceMemory memory = make_cpu_device()->memory();
  EXPECT_EQ(memory.total_bytes, limit);
  EXPECT_EQ(memory.free_bytes, limit - host_counters().live_bytes);
  install_counting_allocator(0);
}

TEST(BatchCleanup, synchronises_before_it_empties) {
  FakeDevice device;
  BatchCleanup cleanup({Cleanup::Policy::on_oom, 0.2, 1, 0}, device);
  cleanup.after_out_of_memory();
  EXPECT_EQ(device.order, "se");
}

}  // namespace
}  // namespace proctor
