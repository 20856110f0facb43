#include "sharding/conductor/conductor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/sharding/conductor/stage.h"

namespace proctor {
namespace {

TEST(Conductor, runs_one_shard_from_start_to_a_clean_ledger_row) {
  Stage stage(shards({0}), 1, 1);
  EXPECT_EQ(stage.executor.take(), Said{"start 0.0 #1"});
  stage.ready(0);
  EXPECT_EQ(stage.executor.take(), Said{"open 0.0 visit 1 module 0 member 0/1"});
  stage.opened(0, 1);
  EXPECT_EQ(stage.executor.take(), Said{"run 0.0 visit 1 shard 0 attempt 1"});
  stage.answered(0, 1, 0);
  EXPECT_EQ(stage.executor.take(), (Said{"store 0", "close 0.0 visit 1"}));
  EXPECT_FALSE(stage.conductor.finished()) << "an answer counts only when it is durable";
  stage.conductor.on_stored(ShardId{0}, Moment(2));
  stage.quiesced(0, 1);
  EXPECT_EQ(stage.executor.take(), Said{"tear down 0.0 visit 1"});
  stage.closed(0, 1);
  EXPECT_EQ(stage.executor.take(), Said{"ledger visit 1 clean"});
  EXPECT_TRUE(stage.conductor.finished());
  EXPECT_TRUE(stage.executor.warnings.empty());
}

TEST(Conductor, nothing_is_sent_to_a_device_before_it_is_measured_clean) {
  Stage stage(shards({0, 1}), 2, 1);
  stage.ready(0);
  stage.opened(0, 1);
  stage.answered(0, 1, 0);
  stage.executor.take();
  stage.conductor.on_heard(kNode, Moment(2));
  stage.conductor.on_tick(Moment(2));
  EXPECT_EQ(stage.executor.take(), Said{}) << "the second module waits for the teardown of the first";
  stage.quiesced(0, 1);
  stage.executor.take();
  stage.closed(0, 1);
  EXPECT_EQ(stage.executor.take(), (Said{"ledger visit 1 clean", "open 0.0 visit 2 module 1 member 0/1"}));
}

TEST(Conductor, a_gang_keeps_its_module_for_shards_to_come_unless_others_want_the_device) {
  Stage stage(shards({0}), 2, 1);
  stage.conductor.expect_more(ModuleId{0}, true);
  stage.ready(0);
  stage.opened(0, 1);
  stage.answered(0, 1, 0);
  EXPECT_EQ(stage.executor.take().back(), "store 0") << "it is not closed";
  stage.conductor.on_stored(ShardId{0}, Moment(2));
  stage.conductor.add(shards({0}));
  stage.conductor.on_tick(Moment(2));
  EXPECT_EQ(stage.executor.take(), Said{"run 0.0 visit 1 shard 1 attempt 1"}) << "nothing is loaded again";
  EXPECT_EQ(stage.conductor.unstored(), 1u);
  stage.answered(0, 1, 1);
  stage.conductor.add(shards({1}));
  stage.conductor.on_tick(Moment(3));
  EXPECT_EQ(stage.executor.take(), (Said{"store 1", "close 0.0 visit 1"})) << "another module has work";
}

TEST(Conductor, what_expects_no_more_shards_is_opened_first) {
  Stage stage(shards({0, 1}), 2, 1);
  stage.conductor.expect_more(ModuleId{0}, true);
  stage.executor.take();
  stage.ready(0);
  EXPECT_EQ(stage.executor.take(), Said{"open 0.0 visit 1 module 1 member 0/1"});
}

TEST(Conductor, replaces_a_worker_that_leaks_and_says_how_many_bytes) {
  Stage stage(shards({0, 1}), 2, 1);
  stage.ready(0);
  stage.opened(0, 1);
  stage.answered(0, 1, 0);
  stage.executor.take();
  LedgerRow leak;
  leak.allocated_after = 4096;
  stage.quiesced(0, 1);
  stage.executor.take();
  stage.closed(0, 1, leak);
  EXPECT_EQ(stage.executor.take(), (Said{"ledger visit 1 recycled", "kill 0.0"}));
  ASSERT_EQ(stage.executor.warnings.size(), 1u);
  EXPECT_NE(stage.executor.warnings[0].find("4096 allocated bytes"), std::string::npos);
  stage.conductor.on_heard(kNode, Moment(3));
  stage.conductor.on_tick(Moment(3));
  EXPECT_EQ(stage.executor.take(), Said{"start 0.0 #2"});
}

TEST(Conductor, gives_a_dead_workers_shard_to_the_next_worker) {
  Stage stage(shards({0, 0, 0}), 1, 2);
  stage.ready(0);
  stage.ready(1);
  stage.opened(0, 1);
  stage.opened(1, 2);
  stage.executor.take();
  stage.died(0);
  EXPECT_EQ(stage.executor.take(), (Said{"ledger visit 1 aborted", "start 0.0 #2"}));
  stage.answered(1, 2, 1);
  EXPECT_EQ(stage.executor.take(), (Said{"store 1", "run 0.1 visit 2 shard 0 attempt 2"}));
}

TEST(Conductor, sets_a_shard_aside_after_its_third_strike) {
  Stage stage(shards({0}), 1, 1);
  for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
    stage.ready(0, attempt, attempt);
    stage.opened(0, attempt, attempt, attempt);
    stage.died(0, attempt, attempt);
  }
  ASSERT_EQ(stage.executor.stored.size(), 1u);
  EXPECT_NE(stage.executor.stored[0].second[0].error.find("died: signal 6"), std::string::npos);
  stage.conductor.on_stored(ShardId{0}, Moment(9));
  EXPECT_TRUE(stage.conductor.finished());
}

TEST(Conductor, a_kill_by_order_is_no_strike) {
  Stage stage(shards({0}), 1, 1);
  for (std::uint32_t attempt = 1; attempt <= 8; ++attempt) {
    stage.ready(0, attempt, attempt);
    stage.opened(0, attempt, attempt, attempt);
    stage.died(0, attempt, attempt, EndedBy::order);
  }
  EXPECT_TRUE(stage.executor.stored.empty());
}

TEST(Conductor, after_out_of_memory_a_fresh_worker_tries_then_the_batch_is_halved_and_that_recorded_first) {
  Stage stage(shards({0}), 1, 1);
  stage.ready(0);
  stage.opened(0, 1);
  stage.executor.take();
  stage.report(0, ShardFailed{VisitId{1}, ShardId{0}, 1, true, false, "out of memory"});
  EXPECT_EQ(stage.executor.take(), Said{"close 0.0 visit 1"});
  stage.quiesced(0, 1);
  stage.closed(0, 1);
  EXPECT_EQ(stage.executor.take(), (Said{"tear down 0.0 visit 1", "ledger visit 1 recycled", "kill 0.0"}));
  EXPECT_EQ(stage.executor.ledger[0].reason, "out of memory in shard 0");
  stage.conductor.on_heard(kNode, Moment(2));
  stage.conductor.on_tick(Moment(2));
  stage.ready(0, 2, 2);
  stage.opened(0, 2, 2, 2);
  stage.executor.take();
  stage.report(0, ShardFailed{VisitId{2}, ShardId{0}, 2, true, false, "out of memory"}, 3, 2);
  EXPECT_EQ(stage.executor.take(), (Said{"shape 0 level 1", "run 0.0 visit 2 shard 0 attempt 3 level 1"}));
}

TEST(Conductor, kills_a_worker_that_makes_no_progress) {
  Stage stage(shards({0}), 1, 1);
  stage.ready(0);
  stage.opened(0, 1, 1);
  stage.report(0, Progress{VisitId{1}, "batch 1 of 2", 1}, 50);
  stage.executor.take();
  stage.conductor.on_heard(kNode, Moment(109));
  stage.conductor.on_tick(Moment(109));
  EXPECT_EQ(stage.executor.take(), Said{}) << "60 s count from the last announced unit";
  stage.conductor.on_heard(kNode, Moment(110.5));
  stage.conductor.on_tick(Moment(110.5));
  EXPECT_EQ(stage.executor.take(), (Said{"kill 0.0", "ledger visit 1 aborted", "start 0.0 #2"}));
  EXPECT_EQ(stage.executor.ledger[0].reason,
            "worker 0 on node0 is past its progress deadline (last announced: batch 1 of 2)");
}

TEST(Conductor, a_teardown_past_its_deadline_costs_the_worker_and_no_shard) {
  Stage stage(shards({0}), 1, 1);
  stage.ready(0);
  stage.opened(0, 1);
  stage.answered(0, 1, 0, 2);
  stage.conductor.on_stored(ShardId{0}, Moment(2));
  stage.executor.take();
  stage.conductor.on_heard(kNode, Moment(33));
  stage.conductor.on_tick(Moment(33));
  EXPECT_EQ(stage.executor.take(), (Said{"kill 0.0", "ledger visit 1 aborted"}));
  EXPECT_TRUE(stage.conductor.finished());
}

TEST(Conductor, fails_a_module_by_name_that_two_gangs_could_not_load) {
  Stage stage(shards({0, 1}), 2, 1);
  stage.ready(0);
  stage.report(0, OpenFailed{VisitId{1}, "input", "tensor x is missing"});
  EXPECT_EQ(stage.executor.take().back(), "abort 0.0 visit 1");
  stage.closed(0, 1);
  stage.conductor.on_heard(kNode, Moment(2));
  stage.conductor.on_tick(Moment(2));
  stage.ready(0, 2, 2);
  stage.report(0, OpenFailed{VisitId{2}, "input", "tensor x is missing"}, 3, 2);
  stage.closed(0, 2, {}, 3, 2);
  ASSERT_EQ(stage.executor.given_up.size(), 1u) << "failed for this run, not for ever";
  EXPECT_NE(stage.executor.given_up[0].second[0].error.find("m0 cannot be loaded: tensor x is missing"),
            std::string::npos);
  stage.conductor.on_heard(kNode, Moment(4));
  stage.conductor.on_tick(Moment(4));
  stage.executor.take();
  stage.ready(0, 4, 3);
  EXPECT_EQ(stage.executor.take(), Said{"open 0.0 visit 3 module 1 member 0/1"}) << "the other module is not held up";
}

TEST(Conductor, a_worker_that_always_dies_while_loading_does_not_loop_for_ever) {
  Stage stage(shards({0}), 1, 1);
  double now = 0;
  for (std::uint32_t attempt = 1; attempt <= 2; ++attempt) {
    stage.conductor.on_tick(Moment(now += 2));
    stage.ready(0, now, attempt);
    stage.died(0, now, attempt);
  }
  ASSERT_EQ(stage.executor.given_up.size(), 1u);
  EXPECT_NE(stage.executor.given_up[0].second[0].error.find("died: signal 6"), std::string::npos);
}

TEST(Conductor, a_load_that_works_again_forgets_the_failure_before) {
  Stage stage(shards({0, 0}), 1, 1);
  for (std::uint32_t visit = 1; visit <= 5; visit += 2) {
    const std::uint32_t inc = visit;
    stage.ready(0, visit, inc);
    stage.report(0, OpenFailed{VisitId{visit}, "environment", "no memory"}, visit, inc);
    stage.closed(0, visit, {}, visit, inc);
    stage.conductor.on_tick(Moment(visit + 0.1));
    stage.ready(0, visit + 0.2, inc + 1);
    stage.opened(0, visit + 1, visit + 0.3, inc + 1);
    stage.died(0, visit + 0.4, inc + 1, EndedBy::order);
    stage.conductor.on_tick(Moment(visit + 1.9));
  }
  EXPECT_TRUE(stage.executor.given_up.empty());
}

TEST(Conductor, a_shard_that_fails_costs_the_worker_too) {
  Stage stage(shards({0, 0}), 1, 1);
  stage.ready(0);
  stage.opened(0, 1);
  stage.executor.take();
  stage.report(0, ShardFailed{VisitId{1}, ShardId{0}, 1, false, false, "CUDA error: an illegal memory access"});
  EXPECT_EQ(stage.executor.take(), Said{"abort 0.0 visit 1"}) << "a poisoned process gets no other shard";
  stage.closed(0, 1);
  EXPECT_EQ(stage.executor.take(), (Said{"ledger visit 1 aborted", "kill 0.0"}));
}

TEST(Conductor, a_death_seen_after_a_stall_costs_nobody_else) {
  Stage stage(shards({0, 0}), 1, 2);
  stage.ready(0);
  stage.ready(1);
  stage.opened(0, 1);
  stage.opened(1, 2);
  stage.executor.take();
  stage.died(0, 500);  // the loop stood still; the other worker's progress is still in the queue
  EXPECT_EQ(stage.executor.take(), (Said{"ledger visit 1 aborted", "start 0.0 #2"}));
  stage.report(1, Progress{VisitId{2}, "batch 2 of 2", 2}, 500);
  stage.conductor.on_heard(kNode, Moment(501));
  stage.conductor.on_tick(Moment(501));
  EXPECT_EQ(stage.executor.take(), Said{});
}

TEST(Conductor, a_slow_shard_is_no_hang) {
  RecordingExecutor executor;
  Conductor conductor({Deadlines{}, 0, VisitId{1}, {"m0"}}, {ModuleOutlook{1, 1, 0.001}}, shards({0}),
                      executor);  // 100 s estimated
  conductor.on_agent(kNode, "node0", 1, Moment(0));
  conductor.on_report(slot(0), 1, WorkerReady{1, {}}, Moment(1));
  conductor.on_report(slot(0), 1, VisitOpened{VisitId{1}, 0.1}, Moment(1));
  executor.take();
  conductor.on_heard(kNode, Moment(1999));
  conductor.on_tick(Moment(1999));
  EXPECT_EQ(executor.take(), Said{});
  conductor.on_heard(kNode, Moment(2002));
  conductor.on_tick(Moment(2002));
  EXPECT_FALSE(executor.take().empty());
}

TEST(Conductor, ignores_reports_of_a_worker_that_was_replaced) {
  Stage stage(shards({0}), 1, 1);
  stage.ready(0);
  stage.opened(0, 1);
  stage.died(0);
  stage.executor.take();
  stage.answered(0, 1, 0, 2, /*incarnation=*/1);
  EXPECT_EQ(stage.executor.take(), Said{});
}

TEST(Conductor, refuses_an_answer_with_too_few_responses) {
  Stage stage(shards({0}), 1, 1);
  stage.ready(0);
  stage.opened(0, 1);
  stage.executor.take();
  stage.report(0, ShardAnswered{VisitId{1}, ShardId{0}, 1, {}, 1, 0.1});
  EXPECT_EQ(stage.executor.take(), Said{"abort 0.0 visit 1"});
}

TEST(Conductor, draining_hands_out_nothing_and_closes_what_runs) {
  Stage stage(shards({0, 0}), 1, 1);
  stage.ready(0);
  stage.opened(0, 1);
  stage.conductor.drain();
  stage.executor.take();
  stage.answered(0, 1, 0);
  EXPECT_EQ(stage.executor.take(), (Said{"store 0", "close 0.0 visit 1"}));
  stage.quiesced(0, 1);
  stage.closed(0, 1);
  EXPECT_TRUE(stage.conductor.drained());
  EXPECT_EQ(stage.conductor.unstored(), 2u);
}

TEST(Conductor, a_worker_that_never_starts_is_tried_again_and_then_given_up) {
  Stage stage(shards({0}), 1, 1);
  double now = 0;
  for (std::uint32_t incarnation = 1; incarnation <= 4; ++incarnation) {
    stage.conductor.on_heard(kNode, Moment(now));
    stage.conductor.on_tick(Moment(now));
    EXPECT_EQ(stage.executor.take(), Said{"start 0.0 #" + std::to_string(incarnation)}) << "at " << now;
    stage.died(0, now, incarnation);
    now += 26;
  }
  EXPECT_TRUE(stage.conductor.stuck(Moment(now)).has_value());
}

TEST(Conductor, does_not_run_what_the_store_already_holds) {
  RecordingExecutor executor;
  Conductor conductor({Deadlines{}, 0, VisitId{7}, {"m0"}}, {ModuleOutlook{}}, shards({0, 0}), executor);
  conductor.restore_answered(ShardId{0});
  conductor.on_agent(kNode, "node0", 1, Moment(0));
  conductor.on_report(slot(0), 1, WorkerReady{1, {}}, Moment(1));
  conductor.on_report(slot(0), 1, VisitOpened{VisitId{7}, 0.1}, Moment(1));
  EXPECT_EQ(executor.take(),
            (Said{"start 0.0 #1", "open 0.0 visit 7 module 0 member 0/1", "run 0.0 visit 7 shard 1 attempt 1"}));
  EXPECT_EQ(conductor.unstored(), 1u);
}

TEST(Conductor, a_gang_is_told_what_probably_follows_its_shard) {
  Stage stage(shards({0, 0, 0}), 1, 1);
  stage.ready(0);
  stage.opened(0, 1);
  EXPECT_EQ(stage.executor.foreseen, ShardId{1});
  stage.answered(0, 1, 0);
  EXPECT_EQ(stage.executor.foreseen, ShardId{2});
  stage.answered(0, 1, 1);
  EXPECT_EQ(stage.executor.foreseen, std::nullopt);
  EXPECT_EQ(stage.executor.handed_out, 3u);
}

// ---- gangs

/// A stage whose modules have these widths.
struct GangStage {
  GangStage(std::vector<Shard> work, std::vector<std::uint32_t> widths, std::uint32_t workers)
      : gang(options(widths.size()), outlooks(widths), std::move(work), gang_door) {
    gang.on_agent(kNode, "node0", workers, Moment(0));
    for (std::uint32_t n = 0; n < workers; ++n) gang.on_report(slot(n), 1, WorkerReady{1, {}}, Moment(1));
  }
  static Conductor::Options options(std::size_t modules) {
    return {Deadlines{}, 16u << 20, VisitId{1}, Stage::names(modules), Reach::node};
  }
  static std::vector<ModuleOutlook> outlooks(const std::vector<std::uint32_t>& widths) {
    std::vector<ModuleOutlook> out;
    for (std::uint32_t width : widths) out.push_back({width, 1e-3, 1e-6});
    return out;
  }
  void say(std::uint32_t n, WorkerReport body, double now = 1) {
    gang.on_report(slot(n), 1, std::move(body), Moment(now));
  }
  void open_both() {
    say(0, VisitOpened{VisitId{1}, 0.1});
    say(1, VisitOpened{VisitId{1}, 0.1});
  }
  Said take() { return gang_door.take(); }

  RecordingExecutor gang_door;
  Conductor gang;  // speaks through the executor above
};

TEST(Gang, serves_when_every_member_has_loaded_and_is_answered_by_member_0) {
  GangStage stage(shards({0, 0}), {2}, 2);
  EXPECT_EQ(stage.take(), (Said{"start 0.0 #1", "start 0.1 #1", "open 0.0 visit 1 module 0 member 0/2",
                                "open 0.1 visit 1 module 0 member 1/2"}));
  stage.say(1, VisitOpened{VisitId{1}, 0.1});
  EXPECT_EQ(stage.take(), Said{});
  stage.say(0, VisitOpened{VisitId{1}, 0.1});
  EXPECT_EQ(stage.take(), (Said{"run 0.0 visit 1 shard 0 attempt 1", "run 0.1 visit 1 shard 0 attempt 1"}));
}

TEST(Gang, member_0s_address_goes_to_every_member) {
  GangStage stage(shards({0}), {2}, 2);
  stage.take();
  stage.say(0, GangAddress{VisitId{1}, "a0"});
  EXPECT_EQ(stage.take(), (Said{"join 0.0 visit 1 at a0", "join 0.1 visit 1 at a0"}));
}

TEST(Gang, tears_down_after_all_agreed_and_not_before) {
  GangStage stage(shards({0}), {2}, 2);
  stage.open_both();
  stage.say(0, ShardAnswered{VisitId{1}, ShardId{0}, 1, {some_answer()}, 1, 0.1});
  stage.take();
  stage.say(1, Quiesced{VisitId{1}, true, ""});
  EXPECT_EQ(stage.take(), Said{});
  stage.say(0, Quiesced{VisitId{1}, true, ""});
  EXPECT_EQ(stage.take(), (Said{"tear down 0.0 visit 1", "tear down 0.1 visit 1"}));
}

TEST(Gang, a_member_that_is_not_well_sends_all_down_the_abort_path_with_fresh_workers) {
  GangStage stage(shards({0}), {2}, 2);
  stage.open_both();
  stage.say(0, ShardAnswered{VisitId{1}, ShardId{0}, 1, {some_answer()}, 1, 0.1});
  stage.take();
  stage.say(1, Quiesced{VisitId{1}, false, "uncorrectable ECC error"});
  EXPECT_EQ(stage.take(), (Said{"abort 0.0 visit 1", "abort 0.1 visit 1"}));
  stage.say(0, Quiesced{VisitId{1}, true, ""});
  stage.say(0, VisitClosed{VisitId{1}, {}});
  stage.say(1, VisitClosed{VisitId{1}, {}});
  EXPECT_EQ(stage.take(), (Said{"ledger visit 1 aborted", "kill 0.0", "ledger visit 1 aborted", "kill 0.1"}));
  EXPECT_EQ(stage.gang_door.ledger[0].reason,
            "worker 1 on node0 is not fit for an orderly teardown: uncorrectable ECC error");
}

TEST(Gang, a_dead_members_shard_is_free_at_once_and_the_others_leave_by_the_abort_path) {
  GangStage stage(shards({0, 0, 0, 0}), {2}, 4);
  stage.open_both();
  stage.say(2, VisitOpened{VisitId{2}, 0.1});
  stage.say(3, VisitOpened{VisitId{2}, 0.1});
  stage.take();
  stage.gang.on_exit(slot(1), 1, EndedBy::itself, "signal 6 (Aborted)", Moment(2));
  EXPECT_EQ(stage.take(), (Said{"abort 0.0 visit 1", "start 0.1 #2"}));
  stage.say(2, ShardAnswered{VisitId{2}, ShardId{1}, 1, {some_answer()}, 1, 0.1}, 2);
  EXPECT_EQ(stage.take(), (Said{"store 1", "run 0.2 visit 2 shard 0 attempt 2", "run 0.3 visit 2 shard 0 attempt 2"}))
      << "while member 0 still measures";
  stage.say(0, VisitClosed{VisitId{1}, {}}, 3);
  EXPECT_EQ(stage.take(), (Said{"ledger visit 1 aborted", "kill 0.0", "ledger visit 1 aborted"}));
}

TEST(Gang, a_member_stuck_between_two_collectives_is_killed_and_the_one_that_waits_for_it_is_not_blamed) {
  GangStage stage(shards({0}), {2}, 2);
  stage.open_both();
  stage.say(0, Progress{VisitId{1}, "batch 2 of 3", 2}, 10);
  stage.say(1, Progress{VisitId{1}, "batch 1 of 3", 1}, 10);
  stage.take();
  stage.gang.on_heard(kNode, Moment(71));
  stage.gang.on_tick(Moment(71));
  EXPECT_EQ(stage.take(), (Said{"kill 0.1", "abort 0.0 visit 1", "start 0.1 #2"}));
  stage.say(0, VisitClosed{VisitId{1}, {}}, 72);
  EXPECT_EQ(stage.take(), (Said{"ledger visit 1 aborted", "kill 0.0", "ledger visit 1 aborted"}));
  EXPECT_EQ(stage.gang_door.ledger[0].reason,
            "worker 1 on node0 is past its progress deadline (last announced: batch 1 of 3)");
}

TEST(Gang, a_member_that_does_not_answer_an_abort_is_killed_too) {
  GangStage stage(shards({0}), {2}, 2);
  stage.open_both();
  stage.take();
  stage.gang.on_exit(slot(1), 1, EndedBy::itself, "exit code 1", Moment(2));
  stage.take();
  stage.gang.on_heard(kNode, Moment(11.9));
  stage.gang.on_tick(Moment(11.9));
  EXPECT_EQ(stage.take(), Said{});
  stage.gang.on_heard(kNode, Moment(12.1));
  stage.gang.on_tick(Moment(12.1));
  EXPECT_EQ(stage.take(), (Said{"kill 0.0", "ledger visit 1 aborted", "ledger visit 1 aborted", "start 0.0 #2"}));
}

TEST(Gang, out_of_memory_in_every_member_is_counted_once) {
  GangStage stage(shards({0}), {2}, 2);
  stage.open_both();
  stage.take();
  stage.say(0, ShardFailed{VisitId{1}, ShardId{0}, 1, true, false, "out of memory"});
  stage.say(1, ShardFailed{VisitId{1}, ShardId{0}, 1, true, false, "out of memory in another member"});
  EXPECT_EQ(stage.take(), (Said{"close 0.0 visit 1", "close 0.1 visit 1"})) << "once in fresh workers, not halved yet";
}

TEST(Gang, a_broken_communicator_ends_the_visit_by_the_abort_path) {
  GangStage stage(shards({0}), {2}, 2);
  stage.open_both();
  stage.take();
  stage.say(1, ShardFailed{VisitId{1}, ShardId{0}, 1, true, true, "out of memory in the middle of a step"});
  EXPECT_EQ(stage.take(), (Said{"abort 0.0 visit 1", "abort 0.1 visit 1"}));
  EXPECT_EQ(stage.gang_door.warnings.back(),
            "visit 1 of m0 is aborted: worker 1 on node0, shard 0: out of memory in the middle of a step; its workers "
            "are replaced");
}

TEST(Gang, a_wide_module_is_not_starved_by_narrow_ones_whose_workers_come_first) {
  RecordingExecutor executor;
  Conductor conductor(GangStage::options(2), GangStage::outlooks({1, 2}), shards({0, 0, 0, 1}), executor);
  conductor.on_agent(kNode, "node0", 2, Moment(0));
  executor.take();
  conductor.on_report(slot(0), 1, WorkerReady{1, {}}, Moment(1));
  EXPECT_EQ(executor.take(), Said{}) << "slot 0 waits for its neighbour";
  conductor.on_report(slot(1), 1, WorkerReady{1, {}}, Moment(1.1));
  EXPECT_EQ(executor.take(), (Said{"open 0.0 visit 1 module 1 member 0/2", "open 0.1 visit 1 module 1 member 1/2"}));
}

TEST(Gang, what_no_device_set_could_hold_is_known_before_anything_runs) {
  RecordingExecutor executor;
  Conductor conductor(GangStage::options(1), GangStage::outlooks({4}), shards({0}), executor);
  conductor.on_agent(kNode, "node0", 3, Moment(0));
  EXPECT_EQ(conductor.widest_place(4), 3u);
  conductor.on_agent(AgentId{1}, "node1", 4, Moment(0));
  EXPECT_EQ(conductor.widest_place(4), 4u);
}

TEST(Gang, a_gang_over_two_nodes_waits_for_the_second_node) {
  RecordingExecutor executor;
  Conductor::Options options = GangStage::options(1);
  options.reach = Reach::nodes;
  Conductor conductor(std::move(options), GangStage::outlooks({4}), shards({0}), executor);
  for (std::uint32_t node : {0u, 1u}) conductor.on_agent(AgentId{node}, "node", 2, Moment(0));
  for (std::uint32_t node : {0u, 1u})
    for (std::uint32_t n : {0u, 1u}) conductor.on_report({AgentId{node}, n}, 1, WorkerReady{1, {}}, Moment(1));
  EXPECT_EQ(conductor.stuck(Moment(1)), std::nullopt);
  EXPECT_EQ(executor.take().back(), "open 1.1 visit 1 module 0 member 3/4");
}

TEST(Gang, the_last_devices_that_a_module_needs_are_never_quarantined) {
  GangStage stage(shards({0, 0, 0, 0}), {2}, 2);
  double now = 1;
  for (std::uint32_t visit = 1; visit <= 4; ++visit) {
    const std::uint32_t inc = visit;
    for (std::uint32_t n : {0u, 1u}) stage.gang.on_report(slot(n), inc, VisitOpened{VisitId{visit}, 0.1}, Moment(now));
    if (visit == 2)
      stage.gang.on_report(slot(0), inc, ShardAnswered{VisitId{2}, ShardId{0}, 2, {some_answer()}, 1, 1}, Moment(now));
    stage.gang.on_exit(slot(1), inc, EndedBy::itself, "signal 11", Moment(now));
    stage.gang.on_report(slot(0), inc, VisitClosed{VisitId{visit}, {}}, Moment(now));
    stage.gang.on_tick(Moment(now += 2));
    for (std::uint32_t n : {0u, 1u}) stage.gang.on_report(slot(n), inc + 1, WorkerReady{1, {}}, Moment(now));
  }
  EXPECT_EQ(stage.gang.stuck(Moment(now)), std::nullopt);
  EXPECT_TRUE(std::ranges::none_of(stage.gang_door.warnings, [](const std::string& warning) {
    return warning.find("quarantined") != std::string::npos;
  }));
}

TEST(Conductor, stops_replacing_workers_for_a_cache_counter_that_fresh_ones_do_not_mend) {
  Stage stage(shards({0, 1, 2}), 3, 1);
  LedgerRow growing;
  growing.warmed_up = true;
  growing.threads = 1;
  for (std::uint32_t visit = 1; visit <= 3; ++visit) {
    const std::uint32_t inc = visit;
    stage.conductor.on_tick(Moment(visit));
    stage.ready(0, visit, inc);
    stage.opened(0, visit, visit, inc);
    stage.answered(0, visit, visit - 1, visit, inc);
    stage.quiesced(0, visit, visit, inc);
    stage.closed(0, visit, growing, visit, inc);
  }
  std::vector<Verdict> verdicts;
  for (const LedgerEntry& entry : stage.executor.ledger) verdicts.push_back(entry.verdict);
  EXPECT_EQ(verdicts, (std::vector<Verdict>{Verdict::recycled, Verdict::recycled, Verdict::clean}));
  EXPECT_NE(stage.executor.warnings.back().find("twice running for threads"), std::string::npos);
}

/// Random completion orders, deaths and late stores on the real state machines: each shard is stored exactly once.
TEST(Conductor, answers_every_shard_once_in_any_order) {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const std::uint32_t workers = 1 + random() % 4;
    Stage stage(shards({0, 0, 1, 1, 1, 2, 0, 2}), 3, workers);
    std::vector<std::uint32_t> incarnation(workers, 0);
    struct Pending {
      std::uint32_t worker, visit, shard;
      char kind;
      std::uint32_t attempt = 1;
    };
    std::vector<Pending> pending;
    std::vector<std::uint32_t> unstored;
    double now = 0;
    std::size_t deaths = 0;
    for (int step = 0; step < 5000 && !stage.conductor.finished(); ++step) {
      for (const std::string& said : stage.executor.take()) {
        unsigned worker = 0, number = 0, other = 0, attempt = 0;
        if (std::sscanf(said.c_str(), "start 0.%u #%u", &worker, &number) == 2)
          incarnation[worker] = number, pending.push_back({worker, 0, 0, 'r'});
        if (std::sscanf(said.c_str(), "open 0.%u visit %u", &worker, &number) == 2)
          pending.push_back({worker, number, 0, 'o'});
        if (std::sscanf(said.c_str(), "run 0.%u visit %u shard %u attempt %u", &worker, &number, &other, &attempt) == 4)
          pending.push_back({worker, number, other, 'a', attempt});
        if (std::sscanf(said.c_str(), "close 0.%u visit %u", &worker, &number) == 2)
          pending.push_back({worker, number, 0, 'q'});
        if (std::sscanf(said.c_str(), "tear down 0.%u visit %u", &worker, &number) == 2)
          pending.push_back({worker, number, 0, 'c'});
        if (std::sscanf(said.c_str(), "store %u", &number) == 1 ||
            std::sscanf(said.c_str(), "give up %u", &number) == 1)
          unstored.push_back(number);
        if (std::sscanf(said.c_str(), "kill 0.%u", &worker) == 1)
          std::erase_if(pending, [&](const Pending& p) { return p.worker == worker; });
      }
      now += 0.01;
      if (!unstored.empty() && random() % 2) {
        std::swap(unstored[random() % unstored.size()], unstored.back());
        stage.conductor.on_stored(ShardId{unstored.back()}, Moment(now));
        unstored.pop_back();
        continue;
      }
      if (pending.empty()) {
        stage.conductor.on_tick(Moment(now += 1));
        continue;
      }
      std::swap(pending[random() % pending.size()], pending.back());
      const Pending event = pending.back();
      pending.pop_back();
      const std::uint32_t inc = incarnation[event.worker];
      if (event.kind != 'r' && deaths < 2 && random() % 10 == 0) {
        ++deaths;
        std::erase_if(pending, [&](const Pending& p) { return p.worker == event.worker; });
        stage.died(event.worker, now, inc);
        continue;
      }
      if (event.kind == 'r') stage.ready(event.worker, now, inc);
      if (event.kind == 'o') stage.opened(event.worker, event.visit, now, inc);
      if (event.kind == 'a') stage.answered(event.worker, event.visit, event.shard, now, inc, event.attempt);
      if (event.kind == 'q') stage.quiesced(event.worker, event.visit, now, inc);
      if (event.kind == 'c') stage.closed(event.worker, event.visit, {}, now, inc);
    }
    std::vector<bool> stored(8, false);
    for (const auto& [shard, responses] : stage.executor.stored) {
      EXPECT_FALSE(stored[shard.value]) << "seed " << seed << ": shard " << shard.value << " stored twice";
      stored[shard.value] = true;
      EXPECT_EQ(responses.at(0).error, "") << "seed " << seed;
    }
    for (const auto& [shard, responses] : stage.executor.given_up) {  // two deaths while a module loads
      EXPECT_FALSE(stored[shard.value]) << "seed " << seed << ": shard " << shard.value << " twice";
      stored[shard.value] = true;
    }
    ASSERT_TRUE(stage.conductor.finished()) << "seed " << seed;
    ASSERT_EQ(std::ranges::count(stored, true), 8) << "seed " << seed;
  }
}

}  // namespace
}  // namespace proctor
