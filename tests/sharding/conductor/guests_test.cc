// Slots that change their program, guests seen from outside, and what becomes of them when they fail.
#include <gtest/gtest.h>

#include <algorithm>

#include "sharding/conductor/conductor.h"
#include "tests/sharding/conductor/stage.h"

namespace proctor {
namespace {

constexpr ModuleOutlook kNative{1, 1e-3, 1e-6, {}};
ModuleOutlook guest(std::uint32_t program, std::uint32_t width = 1) { return {width, 1e-3, 1e-6, {program, width}}; }

/// A guest's visit as a quiet agent sees it.
OutsideMeasures quiet() {
  OutsideMeasures seen;
  seen.processes_before = seen.processes_peak = seen.processes_after = 1;
  seen.pss_before = seen.pss_peak = seen.pss_after = 100u << 20;
  return seen;
}

struct GuestStage : Stage {
  using Stage::Stage;
  void measured(std::uint32_t n, std::uint32_t visit, const OutsideMeasures& seen, std::uint32_t inc) {
    conductor.on_measured(slot(n), inc, VisitId{visit}, seen);
  }
  void tick(double now) {
    conductor.on_heard(kNode, Moment(now));
    conductor.on_tick(Moment(now));
  }
  /// The first worker is there and has been replaced by the guest, which is there, too.
  void let_the_guest_in() {
    ready(0);
    ready(0, 1, 2);
  }
};

TEST(Guests, a_slot_is_given_the_program_of_its_next_module_and_keeps_it) {
  GuestStage stage(shards({0, 0}), {guest(1)}, 1);
  EXPECT_EQ(stage.executor.take(), Said{"start 0.0 #1"}) << "nobody knows yet what comes first";
  stage.ready(0);
  EXPECT_EQ(stage.executor.take(), (Said{"kill 0.0", "start 0.0 #2 program 1"}));
  stage.died(0, 1, 1, EndedBy::order);
  EXPECT_EQ(stage.executor.take(), Said{}) << "the exit of the worker before";
  stage.ready(0, 1, 2);
  EXPECT_EQ(stage.executor.take(), Said{"open 0.0 visit 1 module 0 member 0/1"});
  stage.opened(0, 1, 1, 2);
  EXPECT_EQ(stage.executor.take(), Said{"run 0.0 visit 1 shard 0 attempt 1"});
}

TEST(Guests, a_visit_that_left_nothing_is_clean_and_the_next_module_gets_a_fresh_worker) {
  GuestStage stage(shards({0, 1}), {guest(1), kNative}, 1);
  stage.let_the_guest_in();
  stage.opened(0, 1, 1, 2);
  stage.answered(0, 1, 0, 1, 2);
  stage.quiesced(0, 1, 1, 2);
  stage.executor.take();
  stage.measured(0, 1, quiet(), 2);
  stage.closed(0, 1, {}, 1, 2);
  EXPECT_EQ(stage.executor.take(), (Said{"ledger visit 1 clean", "kill 0.0", "start 0.0 #3"}));
  ASSERT_EQ(stage.executor.ledger.size(), 1u);
  EXPECT_TRUE(stage.executor.ledger[0].row.guest);
  EXPECT_EQ(stage.executor.ledger[0].row.outside, quiet());
  stage.ready(0, 1, 3);
  EXPECT_EQ(stage.executor.take(), Said{"open 0.0 visit 2 module 1 member 0/1"});
}

TEST(Guests, a_slot_where_its_program_runs_is_preferred) {
  GuestStage stage(shards({1, 0, 0}), {guest(1), guest(2)}, 2);
  stage.ready(0);
  stage.ready(1);
  stage.executor.take();
  stage.ready(0, 1, 2);
  stage.ready(1, 1, 2);
  const Said opened = stage.executor.take();  // each program in a slot of its own
  ASSERT_EQ(opened.size(), 2u);
  const std::uint32_t first = opened[0].find("module 0") != std::string::npos ? 0 : 1;  // the slot of module 0
  stage.opened(first, first + 1, 1, 2);
  stage.opened(1 - first, 2 - first, 1, 2);
  stage.executor.take();
  stage.measured(first, first + 1, quiet(), 2);
  stage.died(first, 2, 2);  // its shard waits for the same slot, not for the other one's program
  for (const std::string& said : stage.executor.take()) EXPECT_EQ(said.find("kill"), std::string::npos) << said;
}

TEST(Guests, one_that_is_there_goes_on_with_the_next_module_of_its_program) {
  GuestStage stage(shards({0, 1, 2}), {guest(1), kNative, guest(1)}, 1);
  stage.let_the_guest_in();
  stage.opened(0, 1, 1, 2);
  stage.answered(0, 1, 0, 1, 2);
  stage.quiesced(0, 1, 1, 2);
  stage.executor.take();
  stage.measured(0, 1, quiet(), 2);
  stage.closed(0, 1, {}, 1, 2);
  EXPECT_EQ(stage.executor.take(), (Said{"ledger visit 1 clean", "open 0.0 visit 2 module 2 member 0/1"}))
      << "module 1 is longer, but a guest takes long to start";
}

struct Trace {
  std::string name;
  OutsideMeasures seen;
};
std::vector<Trace> traces() {
  std::vector<Trace> all(5, {"", quiet()});
  all[0].name = "processes", all[0].seen.left = {"sleep (4711)"};
  all[1].name = "shared memory", all[1].seen.shared_left = {"/dev/shm/psm_1 (3 bytes)"};
  all[2].name = "memory", all[2].seen.warmed_up = true, all[2].seen.pss_after += 200u << 20;
  all[3].name = "descriptors", all[3].seen.warmed_up = true, all[3].seen.descriptors_after = 1;
  all[4].name = "device", all[4].seen.device_before = 0, all[4].seen.device_after = 1u << 30;
  return all;
}

TEST(Guests, whatever_it_leaves_behind_costs_it_its_process) {
  for (const Trace& trace : traces()) {
    SCOPED_TRACE(trace.name);
    GuestStage stage(shards({0}), {guest(1)}, 1);
    stage.let_the_guest_in();
    stage.opened(0, 1, 1, 2);
    stage.answered(0, 1, 0, 1, 2);
    stage.conductor.on_stored(ShardId{0}, Moment(1));
    stage.quiesced(0, 1, 1, 2);
    stage.executor.take();
    stage.measured(0, 1, trace.seen, 2);
    stage.closed(0, 1, {}, 1, 2);
    EXPECT_EQ(stage.executor.take(), (Said{"ledger visit 1 recycled", "kill 0.0"}));
    EXPECT_FALSE(stage.executor.ledger[0].reason.empty());
  }
}

TEST(Guests, memory_that_libraries_took_in_a_first_visit_is_no_leak) {
  OutsideMeasures seen = quiet();
  seen.pss_after += 300u << 20;
  LedgerRow row;
  row.guest = true, row.outside = seen;
  EXPECT_FALSE(find_residue(row, 16u << 20));
  row.outside->warmed_up = true;
  EXPECT_TRUE(find_residue(row, 16u << 20));
}

TEST(Guests, one_that_dies_in_a_shard_is_replaced_by_the_same_program_and_its_row_has_what_was_seen) {
  GuestStage stage(shards({0}), {guest(1)}, 1);
  stage.let_the_guest_in();
  stage.opened(0, 1, 1, 2);
  stage.executor.take();
  stage.measured(0, 1, quiet(), 2);
  stage.died(0, 2, 2);
  EXPECT_EQ(stage.executor.take(), (Said{"ledger visit 1 aborted", "start 0.0 #3 program 1"}));
  EXPECT_EQ(stage.executor.ledger[0].row.outside, quiet());
}

TEST(Guests, the_row_of_one_that_is_killed_waits_for_what_its_agent_sees) {
  GuestStage stage(shards({0}), {guest(1)}, 1);
  stage.let_the_guest_in();
  stage.opened(0, 1, 1, 2);
  stage.executor.take();
  stage.tick(100);  // past its progress deadline
  EXPECT_EQ(stage.executor.take(), (Said{"kill 0.0", "start 0.0 #3 program 1"}));
  stage.conductor.drain();
  EXPECT_FALSE(stage.conductor.finished());
  OutsideMeasures seen = quiet();
  seen.left = {"sleep (4711)"};
  stage.measured(0, 1, seen, 2);
  EXPECT_EQ(stage.executor.take(), Said{"ledger visit 1 aborted"});
  EXPECT_EQ(stage.executor.ledger[0].row.outside, seen);
  EXPECT_NE(stage.executor.warnings.back().find("sleep (4711)"), std::string::npos);
  EXPECT_TRUE(stage.conductor.finished());
}

TEST(Guests, the_row_of_one_whose_agent_saw_nothing_says_so) {
  GuestStage stage(shards({0}), {guest(1)}, 1);
  stage.let_the_guest_in();
  stage.opened(0, 1, 1, 2);
  stage.tick(100);
  stage.executor.take();
  stage.died(0, 101, 2, EndedBy::order);
  EXPECT_EQ(stage.executor.take(), Said{"ledger visit 1 aborted"});
  EXPECT_TRUE(stage.executor.ledger[0].row.guest);
  EXPECT_FALSE(stage.executor.ledger[0].row.outside);
}

TEST(Guests, one_that_does_not_close_is_ended_and_its_answers_count) {
  GuestStage stage(shards({0}), {guest(1)}, 1);
  stage.let_the_guest_in();
  stage.opened(0, 1, 1, 2);
  stage.answered(0, 1, 0, 1, 2);
  stage.conductor.on_stored(ShardId{0}, Moment(1));
  stage.quiesced(0, 1, 1, 2);
  stage.executor.take();
  stage.tick(50);
  EXPECT_EQ(stage.executor.take(), Said{"kill 0.0"});
  stage.measured(0, 1, quiet(), 2);
  EXPECT_EQ(stage.executor.take(), Said{"ledger visit 1 recycled"});
  EXPECT_EQ(stage.executor.stored.size(), 1u);
  EXPECT_TRUE(stage.conductor.finished());
}

TEST(Guests, one_that_does_not_start_is_its_modules_fault_and_the_others_go_on) {
  GuestStage stage(shards({0, 1}), {guest(1), kNative}, 1);
  stage.ready(0);
  stage.executor.take();
  stage.died(0, 1, 2);
  EXPECT_EQ(stage.executor.take(), Said{"start 0.0 #3"});
  stage.ready(0, 2, 3);
  EXPECT_EQ(stage.executor.take(), (Said{"kill 0.0", "start 0.0 #4 program 1"})) << "once more";
  stage.died(0, 2, 4);
  EXPECT_EQ(stage.executor.take(), (Said{"give up 0", "start 0.0 #5"}));
  stage.ready(0, 3, 5);
  EXPECT_EQ(stage.executor.take(), Said{"open 0.0 visit 1 module 1 member 0/1"});
  EXPECT_NE(stage.executor.given_up[0].second[0].error.find("did not start"), std::string::npos);
}

TEST(Guests, one_that_never_says_hello_is_given_up_by_its_deadline) {
  GuestStage stage(shards({0}), {guest(1)}, 1);
  stage.ready(0);
  stage.executor.take();
  stage.tick(300);
  EXPECT_EQ(stage.executor.take(), Said{}) << "importing may take long";
  stage.tick(700);
  EXPECT_EQ(stage.executor.take(), (Said{"kill 0.0", "start 0.0 #3"}));
}

TEST(Guests, a_wide_one_is_one_process_and_the_slots_beside_it_are_empty_meanwhile) {
  GuestStage stage(shards({0, 1, 1}), {guest(1, 2), kNative}, 2);
  stage.ready(0);
  stage.ready(1);
  EXPECT_EQ(stage.executor.take(),
            (Said{"start 0.0 #1", "start 0.1 #1", "kill 0.0", "kill 0.1", "start 0.0 #2 program 1 for 2"}));
  stage.died(1, 1, 1, EndedBy::order);
  stage.ready(0, 1, 2);
  EXPECT_EQ(stage.executor.take(), Said{"open 0.0 visit 1 module 0 member 0/1"});
  stage.opened(0, 1, 1, 2);
  stage.answered(0, 1, 0, 1, 2);
  stage.quiesced(0, 1, 1, 2);
  stage.executor.take();
  stage.measured(0, 1, quiet(), 2);
  stage.closed(0, 1, {}, 2, 2);
  const Said said = stage.executor.take();
  EXPECT_NE(std::ranges::find(said, "start 0.1 #2"), said.end()) << "its worker is back";
}

TEST(Guests, a_gang_whose_guest_dies_gives_its_shard_back_whole_and_frees_both_slots) {
  GuestStage stage(shards({0}), {guest(1, 2)}, 2);
  stage.ready(0);
  stage.ready(1);
  stage.ready(0, 1, 2);
  stage.opened(0, 1, 1, 2);
  stage.executor.take();
  stage.measured(0, 1, quiet(), 2);
  stage.died(0, 2, 2);
  Said said = stage.executor.take();
  EXPECT_EQ(said.front(), "ledger visit 1 aborted");
  EXPECT_NE(std::ranges::find(said, "start 0.0 #3 program 1 for 2"), said.end());
  stage.ready(1, 3, 2);
  stage.ready(0, 3, 3);
  said = stage.executor.take();
  EXPECT_NE(std::ranges::find(said, "open 0.0 visit 2 module 0 member 0/1"), said.end());
}

TEST(Guests, a_silent_node_calls_its_arrivals_off) {
  GuestStage stage(shards({0}), {guest(1)}, 1);
  stage.ready(0);
  stage.executor.take();
  stage.conductor.on_tick(Moment(20));  // silent
  stage.ready(0, 21, 2);
  EXPECT_EQ(stage.executor.take(), Said{"open 0.0 visit 1 module 0 member 0/1"}) << "it speaks again";
}

}  // namespace
}  // namespace proctor
