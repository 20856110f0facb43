// What failures cost: strikes and isolation, kills from outside, nodes that fall silent and speak again.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/sharding/conductor/stage.h"

namespace proctor {
namespace {

std::vector<Shard> one_shard(std::uint32_t requests) {
  Shard shard{ModuleId{0}, TaskId{0}, {}, 100.0};
  for (std::uint32_t r = 0; r < requests; ++r) shard.requests.push_back(r);
  return {shard};
}

/// Its single worker opens the module, announces a batch, and dies in it.
void die_in(Stage& stage, std::uint32_t attempt, std::int64_t batch, std::int64_t request,
            EndedBy by = EndedBy::itself) {
  const double now = 100.0 * attempt;
  stage.conductor.on_tick(Moment(now));
  stage.ready(0, now, attempt);
  stage.opened(0, attempt, now, attempt);
  stage.batch(0, attempt, batch, request, now, attempt);
  stage.died(0, now, attempt, by);
}

TEST(Isolation, a_poisoned_request_is_found_by_the_fourth_death_and_the_others_are_answered) {
  Stage stage(one_shard(40), 1, 1);
  for (std::uint32_t death = 1; death <= 3; ++death) die_in(stage, death, 2, -1);
  auto said = stage.executor.take();
  EXPECT_EQ(std::ranges::count(said, "shape 0 isolated 2"), 1) << "recorded before it takes effect";
  EXPECT_NE(std::ranges::find(said, "run 0.0 visit 3 shard 0 attempt 3"), said.end());
  die_in(stage, 4, 2, 17);
  said = stage.executor.take();
  EXPECT_NE(std::ranges::find(said, "run 0.0 visit 4 shard 0 attempt 4 isolated 2"), said.end());
  EXPECT_NE(std::ranges::find(said, "shape 0 isolated 2 without 17"), said.end());
  stage.conductor.on_tick(Moment(500));
  stage.ready(0, 500, 5);
  stage.opened(0, 5, 500, 5);
  EXPECT_EQ(stage.executor.take().back(), "run 0.0 visit 5 shard 0 attempt 5 isolated 2 without 17");
  stage.report(0, ShardAnswered{VisitId{5}, ShardId{0}, 5, std::vector<Response>(40, some_answer()), 1, 1}, 501, 5);
  ASSERT_EQ(stage.executor.stored.size(), 1u);
  for (std::size_t r = 0; r < 40; ++r)
    EXPECT_EQ(stage.executor.stored[0].second[r].error, r == 17 ? "worker 0 on node0 died: signal 6 (Aborted)" : "");
}

TEST(Isolation, a_batch_of_one_request_needs_three_strikes_like_any_other) {
  Stage stage(one_shard(3), 1, 1);
  for (std::uint32_t death = 1; death <= 3; ++death) {
    die_in(stage, death, 0, 1);
    EXPECT_TRUE(stage.executor.stored.empty());
  }
  const auto said = stage.executor.take();
  EXPECT_EQ(std::ranges::count(said, "shape 0 isolated 0"), 1);
}

TEST(Isolation, deaths_before_any_batch_set_the_whole_shard_aside) {
  Stage stage(one_shard(3), 1, 1);
  for (std::uint32_t death = 1; death <= 3; ++death) die_in(stage, death, -1, -1);
  ASSERT_EQ(stage.executor.stored.size(), 1u);
  EXPECT_EQ(stage.executor.stored[0].second.size(), 3u);
}

TEST(Isolation, of_several_devices_one_is_not_enough_to_convict_a_request) {
  Attempts attempts(1);
  const BatchPlace place{2, std::nullopt};
  const SlotId bad{AgentId{0}, 0};
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(attempts.on_strike(ShardId{0}, bad, 8, place, "died"), Attempts::Next::again) << i;
  EXPECT_EQ(attempts.on_strike(ShardId{0}, bad, 8, place, "died"), Attempts::Next::isolated)
      << "but where no other ever comes to it, the fifth is";
  Attempts others(1);
  for (std::uint32_t device : {0u, 1u})
    EXPECT_EQ(others.on_strike(ShardId{0}, {AgentId{0}, device}, 8, place, "died"), Attempts::Next::again);
  EXPECT_EQ(others.on_strike(ShardId{0}, {AgentId{0}, 2}, 8, place, "died"), Attempts::Next::isolated);
}

TEST(Isolation, a_struck_shard_goes_to_another_device_first) {
  Stage stage(shards({0, 0, 0}), 1, 2);
  stage.ready(0);
  stage.opened(0, 1);
  stage.batch(0, 1, 0, -1);
  stage.died(0);
  stage.ready(0, 2, 2);
  stage.executor.take();
  const auto visit = [&](std::uint32_t v) { stage.opened(0, v, 2, 2); };
  visit(2);
  EXPECT_EQ(stage.executor.take(), Said{"run 0.0 visit 2 shard 1 attempt 1"}) << "worker 0 leaves shard 0 to another";
  stage.ready(1, 3);
  stage.opened(1, 3, 3);
  EXPECT_EQ(stage.executor.take().back(), "run 0.1 visit 3 shard 0 attempt 2");
}

TEST(Isolation, what_was_isolated_before_a_restart_stays_so) {
  RecordingExecutor executor;
  Conductor conductor({Deadlines{}, 0, VisitId{7}, {"m0"}}, {ModuleOutlook{1, 1e-3, 1e-6}}, one_shard(4), executor);
  conductor.restore_overrides(ShardId{0}, {1, {3}, {{2, "died"}}});
  conductor.on_agent(kNode, "node0", 1, Moment(0));
  conductor.on_report(slot(0), 1, WorkerReady{1, {}}, Moment(1));
  conductor.on_report(slot(0), 1, VisitOpened{VisitId{7}, 0.1}, Moment(1));
  EXPECT_EQ(executor.take().back(), "run 0.0 visit 7 shard 0 attempt 1 level 1 isolated 3 without 2");
}

TEST(OutsideKills, never_strike_a_shard_nor_a_device_nor_a_module) {
  Stage stage(one_shard(4), 1, 1);
  for (std::uint32_t death = 1; death <= 19; ++death) die_in(stage, death, 0, -1, EndedBy::outside);
  for (std::uint32_t death = 20; death <= 30; ++death) {  // while it loads
    stage.conductor.on_tick(Moment(100.0 * death));
    stage.ready(0, 100.0 * death, death);
    stage.died(0, 100.0 * death, death, EndedBy::outside);
  }
  EXPECT_TRUE(stage.executor.stored.empty());
  EXPECT_TRUE(stage.executor.given_up.empty());
  const auto said = stage.executor.take();
  EXPECT_TRUE(std::ranges::none_of(said, [](const std::string& s) { return s.starts_with("shape"); }));
}

TEST(OutsideKills, do_not_go_on_for_ever) {
  Stage stage(one_shard(4), 1, 1);
  for (std::uint32_t death = 1; death <= 200 && stage.executor.stored.empty(); ++death)
    die_in(stage, death, -1, -1, EndedBy::outside);
  EXPECT_EQ(stage.executor.stored.size(), 1u) << "what always kills is set aside in the end, whoever sends the signal";
}

/// Two nodes of one worker each, both serving module 0.
struct Nodes {
  RecordingExecutor executor;
  Conductor conductor;
  explicit Nodes(std::vector<Shard> work)
      : conductor({Deadlines{}, 0, VisitId{1}, {"m0"}}, {ModuleOutlook{1, 1e-3, 1e-6}}, std::move(work), executor) {
    for (std::uint32_t node : {0u, 1u}) conductor.on_agent(AgentId{node}, "n" + std::to_string(node), 1, Moment(0));
    for (std::uint32_t node : {0u, 1u}) say(node, WorkerReady{1, {}}, 1);
    for (std::uint32_t node : {0u, 1u}) say(node, VisitOpened{VisitId{node + 1}, 0.1}, 1);
  }
  void say(std::uint32_t node, WorkerReport report, double now) {
    conductor.on_report({AgentId{node}, 0}, 1, std::move(report), Moment(now));
  }
  /// By 30 s: the first has answered its shard and been heard, the second has said nothing.
  void second_falls_silent() {
    answer(0, 0, 15.9);
    conductor.on_heard(AgentId{0}, Moment(30));
    conductor.on_tick(Moment(30));
  }
  void answer(std::uint32_t node, std::uint32_t shard, double now, std::uint32_t attempt = 1) {
    say(node, ShardAnswered{VisitId{node + 1}, ShardId{shard}, attempt, {some_answer(node)}, 1, 1}, now);
  }
};

TEST(SilentNode, is_suspect_after_its_deadline_and_its_shard_is_run_elsewhere) {
  Nodes nodes(shards({0, 0}));
  EXPECT_EQ(nodes.executor.take().back(), "run 1.0 visit 2 shard 1 attempt 1");
  nodes.answer(0, 0, 15.9);
  EXPECT_EQ(nodes.executor.take(), Said{"store 0"});
  nodes.conductor.on_tick(Moment(15.9));
  EXPECT_EQ(nodes.executor.take(), Said{}) << "15 s since its last word are not over";
  nodes.conductor.on_tick(Moment(16.1));
  EXPECT_EQ(nodes.executor.take(), Said{"run 0.0 visit 1 shard 1 attempt 2"});
  EXPECT_NE(nodes.executor.warnings.back().find("node n1 has been silent for 15 s"), std::string::npos);
  EXPECT_EQ(nodes.executor.losses, nodes.executor.warnings);
}

TEST(SilentNode, that_speaks_again_is_readmitted_and_its_late_answer_counts) {
  Nodes nodes(shards({0, 0, 0}));
  nodes.second_falls_silent();
  nodes.executor.take();
  nodes.answer(1, 1, 31);
  EXPECT_EQ(nodes.executor.take(), Said{"store 1"});
  EXPECT_EQ(nodes.executor.stored.back().second[0].answer, some_answer(1).answer) << "the late answer";
  EXPECT_NE(nodes.executor.warnings.back().find("node n1 speaks again"), std::string::npos);
  EXPECT_EQ(nodes.executor.losses.size(), 1u);
}

TEST(SilentNode, whose_shard_was_answered_elsewhere_is_not_heard_twice) {
  Nodes nodes(shards({0, 0}));
  nodes.second_falls_silent();
  nodes.answer(0, 1, 31, 2);
  nodes.executor.take();
  nodes.answer(1, 1, 32);
  const auto said = nodes.executor.take();
  EXPECT_EQ(std::ranges::count(said, "store 1"), 0);
  EXPECT_EQ(nodes.executor.stored.size(), 2u);
}

TEST(SilentNode, is_not_waited_for_at_the_end_but_its_visit_is_in_the_ledger) {
  Nodes nodes(shards({0, 0}));
  nodes.second_falls_silent();
  nodes.answer(0, 1, 31, 2);
  for (std::uint32_t shard : {0u, 1u}) nodes.conductor.on_stored(ShardId{shard}, Moment(31));
  nodes.say(0, Quiesced{VisitId{1}, true, ""}, 32);
  nodes.say(0, VisitClosed{VisitId{1}, {}}, 32);
  EXPECT_TRUE(nodes.conductor.finished());
  nodes.conductor.abandon_silent();
  EXPECT_EQ(nodes.executor.ledger.back().verdict, Verdict::aborted);
  EXPECT_EQ(nodes.executor.ledger.back().reason, "its node is silent");
}

TEST(SilentNode, that_alone_could_go_on_is_waited_for_and_then_the_run_stops_by_name) {
  Stage stage(shards({0}), 1, 1);
  stage.ready(0);
  stage.opened(0, 1);
  stage.conductor.on_tick(Moment(17));
  EXPECT_EQ(stage.conductor.stuck(Moment(17)), std::nullopt);
  ASSERT_TRUE(stage.conductor.stuck(Moment(200)).has_value());
  EXPECT_NE(stage.conductor.stuck(Moment(200))->find("silent"), std::string::npos);
}

TEST(SilentNode, that_holds_a_part_of_a_gang_costs_the_gang_and_frees_the_others_of_it) {
  RecordingExecutor executor;
  Conductor conductor({Deadlines{}, 0, VisitId{1}, {"m0"}, Reach::nodes}, {ModuleOutlook{4, 1e-3, 1e-6}}, shards({0}),
                      executor);
  const auto say = [&](std::uint32_t node, std::uint32_t n, WorkerReport report, double now) {
    conductor.on_report({AgentId{node}, n}, 1, std::move(report), Moment(now));
  };
  for (std::uint32_t node : {0u, 1u, 2u}) conductor.on_agent(AgentId{node}, "n" + std::to_string(node), 2, Moment(0));
  for (std::uint32_t node : {0u, 1u})
    for (std::uint32_t n : {0u, 1u}) say(node, n, WorkerReady{1, {}}, 1);
  for (std::uint32_t node : {0u, 1u})
    for (std::uint32_t n : {0u, 1u}) say(node, n, VisitOpened{VisitId{1}, 0.1}, 1);
  for (std::uint32_t node : {1u, 2u}) conductor.on_heard(AgentId{node}, Moment(15));
  executor.take();
  conductor.on_tick(Moment(16.5));
  EXPECT_EQ(executor.take(), (Said{"kill 0.0", "kill 0.1", "abort 1.0 visit 1", "abort 1.1 visit 1"}));
  for (std::uint32_t n : {0u, 1u}) say(1, n, VisitClosed{VisitId{1}, {}}, 17);
  EXPECT_EQ(executor.ledger.size(), 4u);
  conductor.on_tick(Moment(18));
  for (std::uint32_t n : {0u, 1u}) {
    conductor.on_report({AgentId{1}, n}, 2, WorkerReady{1, {}}, Moment(18));
    say(2, n, WorkerReady{1, {}}, 18);
  }
  EXPECT_EQ(executor.take().back(), "open 2.1 visit 2 module 0 member 3/4");
}

TEST(SilentNode, its_workers_deadlines_begin_anew_when_it_speaks) {
  Nodes nodes(shards({0, 0}));
  nodes.answer(0, 0, 15.9);
  nodes.conductor.on_heard(AgentId{0}, Moment(100));
  nodes.conductor.on_tick(Moment(100));
  nodes.conductor.on_heard(AgentId{1}, Moment(300));
  nodes.executor.take();
  nodes.conductor.on_heard(AgentId{0}, Moment(310));
  nodes.conductor.on_heard(AgentId{1}, Moment(310));
  nodes.conductor.on_tick(Moment(310));
  const auto said = nodes.executor.take();
  EXPECT_EQ(std::ranges::count(said, "kill 1.0"), 0) << "it could not say anything in the meantime";
}

/// Two nodes of one worker each; both are here unless `here` says otherwise.
struct TwoNodes {
  RecordingExecutor executor;
  Conductor conductor;
  double now = 0;
  std::map<std::uint32_t, std::uint32_t> incarnations;

  explicit TwoNodes(std::size_t modules, std::vector<Shard> work, std::uint32_t agents = 2)
      : conductor({Deadlines{}, 16u << 20, VisitId{1}, Stage::names(modules), Reach::node, agents},
                  std::vector<ModuleOutlook>(modules, ModuleOutlook{1, 1e-3, 1e-6}), std::move(work), executor) {}
  void come(std::uint32_t node) { conductor.on_agent(AgentId{node}, "node" + std::to_string(node), 1, Moment(now)); }
  /// Both nodes are heard, and their workers are ready.
  void pass() {
    now += 2;
    for (std::uint32_t node : {0u, 1u}) conductor.on_heard(AgentId{node}, Moment(now));
    conductor.on_tick(Moment(now));
  }
  void report(std::uint32_t node, WorkerReport body) {
    conductor.on_report({AgentId{node}, 0}, incarnations[node], std::move(body), Moment(now));
  }
  void ready(std::uint32_t node) {
    ++incarnations[node];
    report(node, WorkerReady{1, {}});
  }
  void fails_to_load(std::uint32_t node, std::uint32_t visit) {
    report(node, OpenFailed{VisitId{visit}, "input", "no such folder"});
    report(node, VisitClosed{VisitId{visit}, {}});
  }
  bool said(const std::string& what) {
    const Said all = executor.take();
    return std::ranges::find(all, what) != all.end();
  }
};

TEST(Loads, a_node_that_cannot_load_a_module_is_not_asked_again_and_others_go_on) {
  TwoNodes two(1, shards({0, 0, 0, 0}));
  for (std::uint32_t node : {0u, 1u}) two.come(node);
  two.pass();
  two.ready(0);
  two.report(0, VisitOpened{VisitId{1}, 0.1});
  two.ready(1);
  for (std::uint32_t visit : {2u, 3u}) {
    EXPECT_TRUE(two.said("open 1.0 visit " + std::to_string(visit) + " module 0 member 0/1"));
    two.fails_to_load(1, visit);
    two.pass();
    two.ready(1);
  }
  for (int i = 0; i < 5; ++i) two.pass();
  EXPECT_FALSE(two.said("open 1.0 visit 4 module 0 member 0/1"));
  EXPECT_EQ(std::ranges::count_if(two.executor.warnings,
                                  [](const std::string& w) { return w.find("not asked for it again") != w.npos; }),
            1);
  EXPECT_TRUE(two.executor.given_up.empty()) << "node0 has it";
}

TEST(Loads, a_module_is_given_up_when_no_node_can_load_it_and_each_says_why) {
  TwoNodes two(1, shards({0, 0}));
  for (std::uint32_t node : {0u, 1u}) two.come(node);
  two.pass();
  std::uint32_t visit = 0;
  for (int time = 0; time < 2; ++time) {
    for (std::uint32_t node : {0u, 1u}) {
      EXPECT_TRUE(two.executor.given_up.empty());
      two.ready(node);
      two.fails_to_load(node, ++visit);
    }
    two.pass();
  }
  ASSERT_EQ(two.executor.given_up.size(), 2u);
  EXPECT_EQ(two.executor.given_up[0].second[0].error,
            "m0 cannot be loaded: node node0: no such folder; node node1: no such folder");
}

TEST(Loads, nothing_is_given_up_before_every_node_is_here) {
  TwoNodes two(1, shards({0}));
  two.come(0);
  two.conductor.on_tick(Moment(1));
  for (std::uint32_t visit : {1u, 2u}) {
    two.ready(0);
    two.fails_to_load(0, visit);
    two.conductor.on_heard(kNode, Moment(two.now += 2));
    two.conductor.on_tick(Moment(two.now));
  }
  EXPECT_TRUE(two.executor.given_up.empty());
  two.come(1);
  two.pass();
  two.ready(1);
  EXPECT_TRUE(two.said("open 1.0 visit 3 module 0 member 0/1"));
  TwoNodes alone(1, shards({0}));
  alone.come(0);
  for (std::uint32_t visit : {1u, 2u}) {
    alone.conductor.on_heard(kNode, Moment(alone.now += 2));
    alone.conductor.on_tick(Moment(alone.now));
    alone.ready(0);
    alone.fails_to_load(0, visit);
  }
  EXPECT_TRUE(alone.executor.given_up.empty());
  alone.conductor.go_on_without_the_missing();
  alone.conductor.on_tick(Moment(alone.now));
  EXPECT_EQ(alone.executor.given_up.size(), 1u);
}

TEST(Loads, a_node_without_the_files_is_never_asked_for_them) {
  TwoNodes two(2, shards({0, 1, 0, 1}));
  two.come(0);
  two.conductor.on_lacking(AgentId{1}, ModuleId{0}, "llama: is not there");
  two.come(1);
  two.pass();
  two.executor.take();
  two.ready(1);
  EXPECT_EQ(two.executor.take(), Said{"open 1.0 visit 1 module 1 member 0/1"});
  two.ready(0);
  EXPECT_EQ(two.executor.take(), Said{"open 0.0 visit 2 module 0 member 0/1"});
}

TEST(Loads, once_the_gang_that_held_it_is_gone_its_node_is_asked_again) {
  Stage stage(shards({0, 0, 0, 0}), 1, 2);
  stage.ready(0);
  stage.opened(0, 1);
  for (std::uint32_t inc : {1u, 2u}) {  // memory for one copy only
    stage.ready(1, inc, inc);
    stage.report(1, OpenFailed{VisitId{inc + 1}, "environment", "no memory"}, inc, inc);
    stage.closed(1, inc + 1, {}, inc, inc);
    stage.conductor.on_heard(kNode, Moment(inc + 0.5));
    stage.conductor.on_tick(Moment(inc + 0.5));
  }
  stage.ready(1, 3, 3);
  stage.executor.take();
  stage.conductor.on_tick(Moment(3));
  EXPECT_EQ(stage.executor.take(), Said{});
  stage.died(0, 3.5, 1, EndedBy::outside);
  const Said said = stage.executor.take();
  EXPECT_NE(std::ranges::find(said, "open 0.1 visit 4 module 0 member 0/1"), said.end());
}

}  // namespace
}  // namespace proctor
