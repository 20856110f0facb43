// A shard on a gang: all members leave it together, over shared memory in step, over NCCL by breaking the gang.
#include "worker/visit/lockstep.h"

#include <ATen/ops/full.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "tests/worker/support/fake_device.h"
#include "tests/worker/support/fake_nccl.h"
#include "tests/worker/support/members.h"
#include "worker/communicator/communicator_nccl.h"

namespace proctor {
namespace {

const Announce kQuiet = [](const ProgressUnit&) {};
enum class Trouble { none, out_of_memory, exception, other_answer };

/// Two collectives; between them, in the first `tries` runs, the trouble.
class TroubledModule final : public OpenModule {
 public:
  TroubledModule(Communicator& gang, Trouble trouble, int tries) : gang_(gang), trouble_(trouble), tries_(tries) {}
  std::vector<Response> run(const ShardRun&, BatchCleanup&, const Announce&) override {
    ++runs;
    at::Tensor sum = at::full({8}, 1.0, at::kFloat);
    gang_.all_reduce(sum);
    const bool now = runs <= tries_;
    if (now && trouble_ == Trouble::out_of_memory) TORCH_CHECK_WITH(OutOfMemoryError, false, "no memory");
    if (now && trouble_ == Trouble::exception) throw std::runtime_error("a poisoned request");
    gang_.all_reduce(sum);
    return {Response{RollingAnswer{now && trouble_ == Trouble::other_answer ? 0.0 : sum[0].item<double>(), 1}, ""}};
  }
  void drop_batches() override {}
  Computed computed() const override { return {}; }
  std::uint64_t bytes_read() const override { return 0; }
  int runs = 0;

 private:
  Communicator& gang_;
  Trouble trouble_;
  int tries_;
};

struct Member {
  StepOutcome outcome;
  int runs = 0;
  std::uint64_t cleanups = 0;
};

Member step(Communicator& gang, Trouble trouble, int tries) {
  FakeDevice device;
  BatchCleanup cleanup({}, device);
  TroubledModule module(gang, trouble, tries);
  Member member{run_step(module, gang, device, {{}, 64}, cleanup, kQuiet), 0, 0};
  member.runs = module.runs;
  member.cleanups = cleanup.cleanups();
  return member;
}

/// Three members over shared memory, of which member 1 has the trouble.
std::vector<Member> step_together(Trouble trouble, int tries) {
  std::vector<Member> all(3);
  expect_well(Members(3).run(
      [&](Communicator& gang) { all[gang.rank()] = step(gang, gang.rank() == 1 ? trouble : Trouble::none, tries); }));
  return all;
}

TEST(Step, is_done_when_every_member_is) {
  for (const Member& member : step_together(Trouble::none, 0)) {
    EXPECT_EQ(member.outcome.gang, StepEnd::done);
    EXPECT_EQ(member.outcome.responses.at(0).answer, Answer(RollingAnswer{9.0, 1}));
    EXPECT_EQ(member.runs, 1);
  }
}

TEST(Step, after_out_of_memory_in_one_member_all_empty_their_caches_and_try_once_more) {
  for (const Member& member : step_together(Trouble::out_of_memory, 1)) {
    EXPECT_EQ(member.outcome.gang, StepEnd::done);
    EXPECT_EQ(member.outcome.responses.at(0).answer, Answer(RollingAnswer{9.0, 1}));
    EXPECT_EQ(member.runs, 2);
    EXPECT_EQ(member.cleanups, 1u);
  }
}

TEST(Step, out_of_memory_twice_is_told_by_the_member_that_had_it) {
  const auto members = step_together(Trouble::out_of_memory, 2);
  for (const Member& member : members) {
    EXPECT_EQ(member.outcome.gang, StepEnd::out_of_memory);
    EXPECT_FALSE(member.outcome.gang_broken);
  }
  EXPECT_EQ(members[0].outcome.mine, StepEnd::done);
  EXPECT_EQ(members[1].outcome.mine, StepEnd::out_of_memory);
  EXPECT_NE(members[1].outcome.message.find("no memory"), std::string::npos);
}

TEST(Step, an_exception_in_one_member_fails_the_step_for_all_without_another_try) {
  const auto members = step_together(Trouble::exception, 1);
  for (const Member& member : members) {
    EXPECT_EQ(member.outcome.gang, StepEnd::failed);
    EXPECT_EQ(member.runs, 1);
  }
  EXPECT_EQ(members[1].outcome.message, "a poisoned request");
}

TEST(Step, members_that_computed_different_answers_are_found) {
  int named = 0;
  for (const Member& member : step_together(Trouble::other_answer, 1)) {
    EXPECT_EQ(member.outcome.gang, StepEnd::failed);
    named += member.outcome.message == "the members of the gang computed different answers";
  }
  EXPECT_GE(named, 1) << "the others may have left with the first that saw it";
}

TEST(Step, over_nccl_out_of_memory_breaks_the_gang_and_is_not_tried_again_on_it) {
  FakeNccl nccl;
  const std::string address = make_nccl_address(nccl);
  std::vector<std::future<Member>> members;
  for (std::uint32_t rank = 0; rank < 2; ++rank)
    members.push_back(std::async(std::launch::async, [&, rank] {
      const auto gang = make_nccl_communicator(nccl, address, rank, 2, at::Device(at::kCPU));
      gang->join(after(std::chrono::seconds(20)));
      gang->wait_at_most(
          std::chrono::milliseconds(50));  // the other one waits in a collective until somebody aborts it
      Member member = step(*gang, rank == 1 ? Trouble::out_of_memory : Trouble::none, 9);
      gang->abort();
      return member;
    }));
  const Member waiting = members[0].get(), starved = members[1].get();
  EXPECT_TRUE(starved.outcome.gang_broken);
  EXPECT_EQ(starved.outcome.gang, StepEnd::out_of_memory);
  EXPECT_EQ(starved.runs, 1) << "another try would meet the others' collectives of the first";
  EXPECT_TRUE(waiting.outcome.gang_broken);
  EXPECT_EQ(nccl.violations, 0);
}

}  // namespace
}  // namespace proctor
