#include "worker/visit/teardown.h"

#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "sharding/conductor/visit.h"
#include "tests/worker/support/fake_device.h"
#include "tests/worker/support/fake_nccl.h"
#include "tests/worker/support/members.h"
#include "worker/communicator/communicator_nccl.h"
#include "worker/device/host_memory.h"

namespace proctor {
namespace {

const Announce kQuiet = [](const ProgressUnit&) {};
constexpr std::chrono::seconds kLong{60};

Gang open_gang(Device& device, const std::string& kind = "generator", const std::string& model = "qwen3") {
  Module module;
  module.path = (std::filesystem::path(PROCTOR_TINY_MODELS) / model).string();
  Gang gang{make_solo_communicator(), nullptr};
  gang.module = find_kind(kind).open(module, device, *gang.communicator, kQuiet);
  return gang;
}

TEST(Teardown, fifty_visits_leave_nothing_behind) {
  install_counting_allocator(0);
  const auto device = make_cpu_device();
  ProcessCounters first;
  for (int visit = 0; visit < 50; ++visit) {
    const Baseline before = measure_baseline(*device, visit > 0);
    device->reset_peak();
    const bool embeds = visit % 2 == 1;
    Gang gang = embeds ? open_gang(*device, "embedding", "bert") : open_gang(*device);
    BatchCleanup cleanup({}, *device);
    const std::vector<Request> texts = {{{"some text"}, Embed{}}};
    const std::vector<Request> prompts = {{{"context", "continuation"}, Loglikelihood{}},
                                          {{"go on"}, Generate{{"\n"}, 4}}};
    const std::vector<Request>& requests = embeds ? texts : prompts;
    gang.module->run({requests, 256}, cleanup, kQuiet);
    LedgerRow row;
    row.set(tear_down(gang, *device, before, Path::orderly, kLong, kQuiet).measures);
    EXPECT_EQ(row.allocated_after, row.allocated_before) << "visit " << visit;
    EXPECT_GT(row.allocated_peak, row.allocated_before);
    EXPECT_FALSE(find_residue(row, 0));
    if (visit == 0) first = process_counters();
    EXPECT_EQ(row.file_descriptors, first.file_descriptors);
    EXPECT_EQ(row.threads, first.threads);
  }
}

TEST(Teardown, announces_its_steps_in_the_order_of_the_protocol) {
  const auto device = make_cpu_device();
  const Baseline before = measure_baseline(*device, false);
  Gang gang = open_gang(*device);
  std::vector<std::string> steps;
  const auto listen = [&](const ProgressUnit& unit) { steps.push_back(unit.text); };
  const TeardownMeasures row = tear_down(gang, *device, before, Path::orderly, kLong, listen).measures;
  EXPECT_EQ(steps, (std::vector<std::string>{"teardown drop_batches", "teardown graphs", "teardown communicators",
                                             "teardown drop_weights", "teardown clear_workspaces",
                                             "teardown empty_caches", "teardown measure"}));
  EXPECT_EQ(row.steps.size(), steps.size());
}

TEST(Teardown, synchronises_before_it_empties_and_host_caches_come_first) {
  FakeDevice device;
  Gang gang = open_gang(device);
  EXPECT_EQ(quiesce(gang, device), "");
  tear_down(gang, device, measure_baseline(device, false), Path::orderly, kLong, kQuiet);
  EXPECT_EQ(device.order, "swshes");
}

TEST(Teardown, a_module_that_somebody_still_holds_is_seen) {
  install_counting_allocator(0);
  const auto device = make_cpu_device();
  const Baseline before = measure_baseline(*device, false);
  Gang gang = open_gang(*device);
  const std::shared_ptr<OpenModule> leak = gang.module;
  LedgerRow row;
  row.set(tear_down(gang, *device, before, Path::orderly, kLong, kQuiet).measures);
  EXPECT_EQ(row.modules_left, 1u);
  EXPECT_GT(row.allocated_after, row.allocated_before);
  EXPECT_TRUE(find_residue(row, 1u << 30)->exact);
}

TEST(Teardown, a_lost_device_is_not_touched_and_the_process_has_to_leave) {
  FakeDevice device;
  Gang gang = open_gang(device);
  device.lost = true;
  EXPECT_NE(quiesce(gang, device).find("an illegal memory access"), std::string::npos);
  EXPECT_EQ(tear_down(gang, device, {}, Path::abort, kLong, kQuiet).aftermath, Aftermath::leave);
  EXPECT_EQ(device.order, "") << "no further call";
}

// ---- over NCCL, which misbehaves

/// A module that may leave a CUDA graph alive.
class FakeModule final : public OpenModule {
 public:
  explicit FakeModule(FakeNccl& nccl, bool keeps_graph) : nccl_(nccl), keeps_graph_(keeps_graph) {}
  std::vector<Response> run(const ShardRun&, BatchCleanup&, const Announce&) override { return {}; }
  void drop_batches() override {}
  std::uint64_t drop_graphs() override {
    if (!keeps_graph_) nccl_.graphs = 0;
    return keeps_graph_ ? 1 : 0;
  }
  Computed computed() const override { return {}; }
  std::uint64_t bytes_read() const override { return 0; }

 private:
  FakeNccl& nccl_;
  bool keeps_graph_;
};

struct Ended {
  Aftermath aftermath = Aftermath::measured;
  LedgerRow row;
};

/// Two members that form a gang over `nccl` and end it: by these paths, in this time. Fewer paths: members that never
/// come to the end.
std::vector<Ended> end_gang(FakeNccl& nccl, const std::vector<Path>& paths, std::chrono::duration<double> time,
                            bool graph = false) {
  const std::string address = make_nccl_address(nccl);
  std::vector<std::future<Ended>> members;
  std::vector<Ended> ended;
  for (std::uint32_t rank = 0; rank < 2; ++rank)
    members.push_back(std::async(std::launch::async, [&, rank] {
      FakeDevice device;
      Gang gang{make_nccl_communicator(nccl, address, rank, 2, device.torch()),
                std::make_shared<FakeModule>(nccl, graph)};
      gang.communicator->join(after(kLong));
      gang.communicator->barrier();
      Ended mine;
      if (rank >= paths.size()) return mine;
      TornDown down = tear_down(gang, device, measure_baseline(device, false), paths[rank], time, kQuiet);
      mine.aftermath = down.aftermath;
      mine.row.set(std::move(down.measures));
      return mine;
    }));
  for (auto& member : members) ended.push_back(member.get());
  return ended;
}

TEST(TeardownOverNccl, an_orderly_end_leaves_no_communicator) {
  FakeNccl nccl;
  nccl.graphs = 1;  // destroyed by the module before the communicators are touched
  for (const Ended& member : end_gang(nccl, {Path::orderly, Path::orderly}, kLong)) {
    EXPECT_EQ(member.aftermath, Aftermath::measured);
    EXPECT_FALSE(find_residue(member.row, 0));
  }
  EXPECT_EQ(nccl.live(), 0u);
  EXPECT_EQ(nccl.violations + nccl.aborts, 0);
}

TEST(TeardownOverNccl, a_graph_left_alive_keeps_it_off_nccl_and_ends_the_process) {
  FakeNccl nccl;
  nccl.graphs = 1;
  for (const Ended& member : end_gang(nccl, {Path::orderly, Path::orderly}, kLong, true)) {
    EXPECT_EQ(member.aftermath, Aftermath::leave) << "finalize, destroy and abort would spin for ever";
    EXPECT_EQ(find_residue(member.row, 0)->counter, "communicators_left");
    EXPECT_EQ(member.row.graphs_left, 1u);
  }
  EXPECT_EQ(nccl.violations + nccl.aborts, 0);
}

TEST(TeardownOverNccl, a_member_that_never_comes_costs_the_other_its_deadline_and_no_more) {
  FakeNccl nccl;
  const auto ended = end_gang(nccl, {Path::orderly}, std::chrono::milliseconds(90));
  EXPECT_EQ(ended[0].aftermath, Aftermath::measured);
  EXPECT_EQ(find_residue(ended[0].row, 0)->text, "1 communicators left") << "so this worker is replaced";
  EXPECT_EQ(nccl.violations, 0);
}

TEST(TeardownOverNccl, a_finalize_that_hangs_is_aborted_and_recycled) {
  FakeNccl nccl;
  nccl.misbehaviour.finalize_hangs = true;
  for (const Ended& member : end_gang(nccl, {Path::orderly, Path::orderly}, std::chrono::milliseconds(300)))
    EXPECT_EQ(find_residue(member.row, 0)->counter, "communicators_left");
  EXPECT_EQ(nccl.violations, 0);
}

TEST(TeardownOverNccl, a_destroy_that_answers_an_error_is_recycled) {
  FakeNccl nccl;
  nccl.misbehaviour.destroy_fails = true;
  for (const Ended& member : end_gang(nccl, {Path::orderly, Path::orderly}, kLong))
    EXPECT_EQ(find_residue(member.row, 0)->counter, "communicators_left");
  EXPECT_EQ(nccl.violations, 0);
}

TEST(TeardownOverNccl, a_late_member_that_is_orderly_after_the_others_aborted_does_not_hang) {
  FakeNccl nccl;
  const auto ended = end_gang(nccl, {Path::abort, Path::orderly}, std::chrono::milliseconds(300));
  EXPECT_EQ(ended[0].aftermath, Aftermath::measured);
  EXPECT_EQ(ended[1].row.communicators_left, 1u);
  EXPECT_EQ(nccl.violations, 0);
}

TEST(TeardownOverNccl, an_abort_that_never_returns_is_left_behind_and_the_process_leaves) {
  FakeNccl nccl;
  nccl.misbehaviour.abort_hangs = true;
  const auto ended = end_gang(nccl, {Path::abort, Path::abort}, std::chrono::milliseconds(90));
  for (const Ended& member : ended) EXPECT_EQ(member.aftermath, Aftermath::leave);
  nccl.release();
  while (nccl.live() > 0) std::this_thread::yield();  // the threads left behind use the fake
}

TEST(TeardownOverNccl, bytes_that_stay_are_told_to_the_byte) {
  FakeDevice device;
  Gang gang{make_solo_communicator(), nullptr};
  const Baseline before = measure_baseline(device, true);
  device.now.allocated_bytes = 4096;
  LedgerRow row;
  row.set(tear_down(gang, device, before, Path::orderly, kLong, kQuiet).measures);
  EXPECT_EQ(find_residue(row, 1u << 30)->text, "4096 allocated bytes more than before");
}

}  // namespace
}  // namespace proctor
