#include "worker/teardown.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "sharding/visit.h"
#include "worker/host_memory.h"

namespace proctor {
namespace {

const Announce kQuiet = [](const std::string&) {};
Deadline soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(30); }

Gang open_gang(Device& device) {
  Module module;
  module.path = (std::filesystem::path(PROCTOR_TINY_MODELS) / "qwen3").string();
  return {make_solo_communicator(), find_kind("generator").open(module, device, kQuiet), 0};
}

TEST(Teardown, fifty_visits_leave_nothing_behind) {
  install_counting_allocator(0);
  const auto device = make_cpu_device();
  ProcessCounters first;
  for (int visit = 0; visit < 50; ++visit) {
    const Baseline before = measure_baseline(*device);
    Gang gang = open_gang(*device);
    BatchCleanup cleanup({}, *device);
    const std::vector<Request> requests = {
        {{"context", "continuation"}, {{"type", "loglikelihood"}}},
        {{"go on"}, {{"type", "generate_until"}, {"until", {"\n"}}, {"max_gen_toks", 4}}}};
    gang.module->run(requests, 256, cleanup, kQuiet);
    LedgerRow row;
    tear_down(gang, *device, before, soon(), kQuiet, row);
    EXPECT_EQ(row.allocated_after, row.allocated_before) << "visit " << visit;
    EXPECT_GT(row.allocated_peak, row.allocated_before);
    EXPECT_EQ(dirt(row, 0), std::nullopt);
    if (visit == 0) first = process_counters();
    EXPECT_EQ(row.file_descriptors, first.file_descriptors);
    EXPECT_EQ(row.threads, first.threads);
  }
}

TEST(Teardown, announces_its_steps_in_the_order_of_the_protocol) {
  const auto device = make_cpu_device();
  const Baseline before = measure_baseline(*device);
  Gang gang = open_gang(*device);
  std::vector<std::string> steps;
  LedgerRow row;
  tear_down(
      gang, *device, before, soon(), [&](const std::string& unit) { steps.push_back(unit); }, row);
  EXPECT_EQ(steps,
            (std::vector<std::string>{"teardown synchronize", "teardown agree", "teardown drop_batches",
                                      "teardown communicators", "teardown drop_weights", "teardown clear_workspaces",
                                      "teardown empty_caches", "teardown measure"}));
  EXPECT_EQ(row.steps.size(), steps.size());
}

TEST(Teardown, a_module_that_somebody_still_holds_is_seen) {
  install_counting_allocator(0);
  const auto device = make_cpu_device();
  const Baseline before = measure_baseline(*device);
  Gang gang = open_gang(*device);
  const std::shared_ptr<OpenModule> leak = gang.module;
  LedgerRow row;
  tear_down(gang, *device, before, soon(), kQuiet, row);
  EXPECT_EQ(row.modules_left, 1u);
  EXPECT_GT(row.allocated_after, row.allocated_before);
  EXPECT_TRUE(dirt(row, 1u << 30).has_value());
}

}  // namespace
}  // namespace proctor
