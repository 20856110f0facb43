// Communicators, with members that are threads: shared memory for real, NCCL's against the fake that enforces the
// contract.
#include "worker/communicator/communicator.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "tests/worker/support/fake_nccl.h"
#include "tests/worker/support/members.h"
#include "worker/communicator/communicator_nccl.h"

namespace proctor {
namespace {

using std::chrono::seconds;
const auto kShort = std::chrono::milliseconds(30);  // the deadline of what is meant to be late

TEST(SharedMemory, adds_in_rank_order_in_every_size_and_dtype) {
  for (const std::uint32_t size : {1u, 2u, 3u, 4u})
    expect_well(Members(size).run([](Communicator& gang) {
      const std::int64_t lengths[] = {1, 7, 3'000'000};  // the last takes three pieces
      for (const std::int64_t length : lengths) {
        at::Tensor mine = at::arange(length, at::kFloat) * static_cast<double>(gang.rank() + 1);
        gang.all_reduce(mine);
        const double factor = gang.size() * (gang.size() + 1) / 2.0;
        EXPECT_TRUE(mine.allclose(at::arange(length, at::kFloat) * factor));
      }
      at::Tensor half = at::full({3}, gang.rank() == 0 ? 256.0 : 0.6, at::kBFloat16);  // 256 + 0.6 rounds to 256
      gang.all_reduce(half);
      const double exact = 256 + 0.6015625 * (gang.size() - 1);
      EXPECT_EQ(half[0].item<float>(), at::full({}, exact, at::kBFloat16).item<float>()) << "added in float32";
    }));
}

TEST(SharedMemory, the_same_bytes_every_time) {
  std::vector<at::Tensor> sums(8);
  for (at::Tensor& sum : sums)
    expect_well(Members(4).run([&](Communicator& gang) {
      at::Tensor mine = (at::arange(1000, at::kFloat) + static_cast<double>(gang.rank())).sin().div_(3.0);
      gang.all_reduce(mine);
      if (gang.rank() == 2) sum = mine;
    }));
  for (const at::Tensor& sum : sums) EXPECT_TRUE(sum.equal(sums[0]));
}

TEST(SharedMemory, gathers_broadcasts_and_meets) {
  expect_well(Members(3).run([](Communicator& gang) {
    const auto rank = static_cast<std::int64_t>(gang.rank());
    const at::Tensor all = gang.all_gather(at::full({2, 2}, rank, at::kLong));
    EXPECT_EQ(all.sizes(), (std::vector<std::int64_t>{3, 2, 2}));
    for (std::int64_t r = 0; r < 3; ++r) EXPECT_TRUE(all[r].eq(r).all().item<bool>());
    at::Tensor told = at::full({5}, rank, at::kInt);
    gang.broadcast(told, 1);
    EXPECT_TRUE(told.eq(1).all().item<bool>());
    gang.barrier();
    EXPECT_EQ(gang.agree(StepEnd::done), StepEnd::done);
    EXPECT_TRUE(gang.close(after(seconds(20))));
  }));
}

TEST(SharedMemory, a_member_that_leaves_a_step_takes_the_others_along_and_the_next_step_works) {
  expect_well(Members(3).run([](Communicator& gang) {
    for (int step = 0; step < 20; ++step) {
      const bool fails = gang.rank() == static_cast<std::uint32_t>(step % 3);
      StepEnd end = StepEnd::done;
      bool abandoned = false;
      try {
        at::Tensor one = at::ones({4}, at::kFloat);
        for (int i = 0; i < step; ++i) gang.all_reduce(one);
        if (fails) end = StepEnd::out_of_memory;
        if (!fails) gang.all_reduce(one);  // waits for the one that does not come
      } catch (const StepAbandoned&) {
        abandoned = true;
      }
      EXPECT_EQ(abandoned, !fails);
      EXPECT_EQ(gang.agree(end), StepEnd::out_of_memory) << "step " << step;
      at::Tensor again = at::ones({1}, at::kFloat);
      gang.all_reduce(again);
      EXPECT_EQ(again.item<float>(), 3.0f);
      EXPECT_EQ(gang.agree(StepEnd::done), StepEnd::done);
    }
  }));
}

TEST(SharedMemory, who_leaves_the_next_step_at_once_does_not_disturb_those_that_still_end_this_one) {
  expect_well(Members(4).run([](Communicator& gang) {
    for (int step = 0; step < 3000; ++step)  // more members than cores: some are always behind
      ASSERT_EQ(gang.agree(StepEnd::out_of_memory), StepEnd::out_of_memory) << "step " << step;
  }));
}

TEST(SharedMemory, every_wait_has_a_deadline) {
  auto members = Members(2).run([](Communicator& gang) {
    if (gang.rank() == 1) return;  // never comes
    gang.wait_at_most(kShort);
    gang.barrier();
  });
  EXPECT_THROW(members[0].get(), GangError);
  members = Members(2).run([](Communicator& gang) { EXPECT_TRUE(gang.rank() == 1 || !gang.close(after(kShort))); });
  expect_well(std::move(members));
}

TEST(SharedMemory, who_aborts_frees_those_that_wait) {
  auto members = Members(3).run([](Communicator& gang) {
    if (gang.rank() == 2) return gang.abort();
    gang.barrier();  // 20 s
  });
  for (const int waiting : {0, 1}) EXPECT_THROW(members[static_cast<std::size_t>(waiting)].get(), GangError);
}

// ---- NCCL

/// Every member over one fake; `body` gets the joined communicator.
template <class Body>
std::vector<std::future<void>> run_nccl(FakeNccl& nccl, std::uint32_t size, Body body,
                                        std::chrono::duration<double> join_within = seconds(20)) {
  const std::string address = make_nccl_address(nccl);
  std::vector<std::future<void>> members;
  for (std::uint32_t rank = 0; rank < size; ++rank)
    members.push_back(std::async(std::launch::async, [&, rank] {
      const auto communicator = make_nccl_communicator(nccl, address, rank, size, at::Device(at::kCPU));
      communicator->wait_at_most(seconds(20));
      try {
        communicator->join(after(join_within));
        body(*communicator);
      } catch (...) {
        communicator->abort();
        throw;
      }
    }));
  for (auto& member : members) member.wait();
  return members;
}

TEST(NcclCommunicator, forms_computes_and_ends_in_order) {
  FakeNccl nccl;
  expect_well(run_nccl(nccl, 3, [](Communicator& gang) {
    at::Tensor sum = at::full({4}, static_cast<double>(gang.rank()), at::kFloat);
    gang.all_reduce(sum);
    EXPECT_EQ(sum[0].item<float>(), 3.0f);
    EXPECT_EQ(gang.all_gather(at::full({1}, static_cast<double>(gang.rank()), at::kFloat))[2].item<float>(), 2.0f);
    at::Tensor told = at::full({1}, static_cast<double>(gang.rank()), at::kFloat);
    gang.broadcast(told, 1);
    EXPECT_EQ(told.item<float>(), 1.0f);
    EXPECT_EQ(gang.agree(gang.rank() == 1 ? StepEnd::out_of_memory : StepEnd::done), StepEnd::out_of_memory);
    EXPECT_EQ(gang.error(), "");
    EXPECT_TRUE(gang.close(after(seconds(20))));
    EXPECT_FALSE(gang.close(after(kShort))) << "a second close touches nothing";
    gang.abort();
  }));
  EXPECT_EQ(nccl.live(), 0u);
  EXPECT_EQ(nccl.violations, 0);
  EXPECT_EQ(nccl.aborts, 0);
}

TEST(NcclCommunicator, a_member_that_never_joins_ends_the_others_at_their_deadline) {
  FakeNccl nccl;
  nccl.misbehaviour.never_joins = {1};
  for (auto& member : run_nccl(
           nccl, 2, [](Communicator&) {}, kShort))
    EXPECT_THROW(member.get(), GangError);
  EXPECT_EQ(nccl.live(), 0u);
  EXPECT_EQ(nccl.violations, 0);
}

TEST(NcclCommunicator, a_finalize_that_stays_in_progress_is_left_at_its_deadline_and_aborted) {
  FakeNccl nccl;
  nccl.misbehaviour.finalize_hangs = true;
  expect_well(run_nccl(nccl, 2, [](Communicator& gang) {
    EXPECT_FALSE(gang.close(after(kShort)));
    gang.abort();
  }));
  EXPECT_EQ(nccl.live(), 0u);
  EXPECT_EQ(nccl.violations, 0) << "destroy was not called on a communicator in progress";
}

TEST(NcclCommunicator, a_destroy_that_answers_an_error_is_not_called_good_nor_repeated) {
  FakeNccl nccl;
  nccl.misbehaviour.destroy_fails = true;
  expect_well(run_nccl(nccl, 2, [](Communicator& gang) {
    EXPECT_FALSE(gang.close(after(seconds(20))));
    gang.abort();
  }));
  EXPECT_EQ(nccl.violations, 0);
}

TEST(NcclCommunicator, an_asynchronous_error_is_seen_before_teardown) {
  FakeNccl nccl;
  nccl.misbehaviour.collective_fails_at = 0;
  expect_well(run_nccl(nccl, 2, [](Communicator& gang) {
    EXPECT_THROW(gang.barrier(), GangError);
    EXPECT_EQ(gang.error(), "NCCL: fake result 6");
    gang.abort();
  }));
  EXPECT_EQ(nccl.violations, 0);
}

TEST(NcclCommunicator, abort_from_another_thread_frees_a_member_that_waits_for_a_dead_one) {
  FakeNccl nccl;
  auto members = run_nccl(nccl, 2, [](Communicator& gang) {
    if (gang.rank() == 1) return gang.abort();  // dies
    std::thread reader([&] { gang.abort(); });
    try {
      gang.barrier();
    } catch (...) {
      reader.join();
      throw;
    }
    reader.join();
  });
  EXPECT_THROW(members[0].get(), GangError);
  EXPECT_EQ(nccl.live(), 0u);
  EXPECT_EQ(nccl.violations, 0) << "nothing was used after it was freed";
}

TEST(NcclCommunicator, an_address_that_is_none_is_refused) {
  FakeNccl nccl;
  EXPECT_THROW(make_nccl_communicator(nccl, "abc", 0, 2, at::Device(at::kCPU)), GangError);
}

}  // namespace
}  // namespace proctor
