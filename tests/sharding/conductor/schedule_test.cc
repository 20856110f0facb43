#include "sharding/conductor/schedule.h"

#include <gtest/gtest.h>

#include "sharding/conductor/attempts.h"
#include "sharding/conductor/placement.h"
#include "sharding/conductor/roster.h"
#include "sharding/planning/tensor_parallel.h"

namespace proctor {
namespace {

const auto kFits = [](ModuleId) { return true; };

std::vector<Shard> shards(std::initializer_list<std::pair<std::uint32_t, double>> work) {
  std::vector<Shard> out;
  for (const auto& [module, flops] : work) out.push_back({ModuleId{module}, TaskId{0}, {}, flops});
  return out;
}

TEST(Schedule, a_free_gang_keeps_its_module_while_that_has_shards) {
  Schedule schedule({{1, 1, 1}, {1, 1, 1}}, shards({{0, 1}, {1, 100}}));
  EXPECT_EQ(schedule.choose(ModuleId{0}, kFits), ModuleId{0});
}

TEST(Schedule, takes_the_widest_unserved_module_then_the_longest) {
  Schedule schedule({{1, 1, 1}, {2, 1, 1}, {1, 1, 1}}, shards({{0, 10}, {1, 1}, {2, 20}}));
  EXPECT_EQ(schedule.choose(std::nullopt, kFits), ModuleId{1});
  schedule.on_gang_opening(ModuleId{1});
  EXPECT_EQ(schedule.choose(std::nullopt, kFits), ModuleId{2});
}

TEST(Schedule, leaves_out_what_does_not_fit_now) {
  Schedule schedule({{4, 1, 1}, {1, 1, 1}}, shards({{0, 10}, {1, 1}}));
  EXPECT_EQ(schedule.choose(std::nullopt, [](ModuleId m) { return m.value == 1; }), ModuleId{1});
}

TEST(Schedule, joins_a_served_module_only_if_that_shortens_the_finish) {
  Schedule worth({{1, 1, 10}}, shards({{0, 40}, {0, 40}, {0, 40}}));
  worth.on_gang_opening(ModuleId{0});
  EXPECT_EQ(worth.choose(std::nullopt, kFits), ModuleId{0}) << "120 s alone, 65 s as two";
  Schedule not_worth({{1, 1, 500}}, shards({{0, 40}, {0, 40}, {0, 40}}));
  not_worth.on_gang_opening(ModuleId{0});
  EXPECT_EQ(not_worth.choose(std::nullopt, kFits), std::nullopt);
}

TEST(Schedule, never_loads_a_module_on_more_gangs_than_it_has_shards) {
  Schedule schedule({{1, 1, 0.1}}, shards({{0, 1000}}));
  schedule.on_gang_opening(ModuleId{0});
  EXPECT_EQ(schedule.choose(std::nullopt, kFits), std::nullopt);
}

TEST(Schedule, estimates_follow_what_shards_and_loads_really_took) {
  Schedule slow({{1, 1, 13}}, shards({{0, 4}, {0, 4}, {0, 4}}));
  slow.on_gang_opening(ModuleId{0});
  EXPECT_EQ(slow.choose(std::nullopt, kFits), std::nullopt) << "12 s alone; as two 12.5 s, with the load";
  const auto shard = slow.take(ModuleId{0});
  slow.on_ran(*shard, 40);
  EXPECT_EQ(slow.choose(std::nullopt, kFits), ModuleId{0}) << "44 s are left: 28.5 s as two";
  Schedule loads({{1, 1, 13}}, shards({{0, 4}, {0, 4}, {0, 4}}));
  loads.on_gang_opening(ModuleId{0});
  loads.on_loaded(ModuleId{0}, 1);
  EXPECT_EQ(loads.choose(std::nullopt, kFits), ModuleId{0});
}

TEST(Schedule, hands_out_the_longest_shard_first_and_a_returned_one_again) {
  Schedule schedule({{1, 1, 1}}, shards({{0, 1}, {0, 3}, {0, 2}}));
  EXPECT_EQ(schedule.take(ModuleId{0}), ShardId{1});
  schedule.give_back(ShardId{1});
  EXPECT_EQ(schedule.take(ModuleId{0}), ShardId{1});
  EXPECT_EQ(schedule.take(ModuleId{0}), ShardId{2});
  schedule.withdraw(ShardId{0});
  EXPECT_EQ(schedule.take(ModuleId{0}), std::nullopt);
}

TEST(Schedule, foresees_what_a_gang_gets_next_if_all_go_on_in_turn) {
  Schedule schedule({{1, 1, 1}}, shards({{0, 5}, {0, 4}, {0, 3}, {0, 2}, {0, 1}}));
  for (int gang = 0; gang < 2; ++gang) schedule.on_gang_opening(ModuleId{0});
  std::vector<std::optional<ShardId>> foreseen, got;
  while (const auto shard = schedule.take(ModuleId{0})) {
    got.push_back(shard);
    foreseen.push_back(schedule.upcoming(ModuleId{0}));
  }
  EXPECT_EQ(foreseen, (std::vector<std::optional<ShardId>>{got[2], got[3], got[4], std::nullopt, std::nullopt}));
}

TEST(Schedule, a_module_whose_gangs_all_died_is_unserved_again) {
  Schedule schedule({{1, 1, 500}}, shards({{0, 40}, {0, 40}}));
  schedule.on_gang_opening(ModuleId{0});
  EXPECT_EQ(schedule.choose(std::nullopt, kFits), std::nullopt);
  schedule.on_gang_gone(ModuleId{0});
  EXPECT_EQ(schedule.choose(std::nullopt, kFits), ModuleId{0});
}

using Slots = std::vector<std::uint32_t>;
TEST(Placement, a_gang_wider_than_every_node_takes_whole_nodes_where_it_may_cross_them) {
  const std::vector<NodeSlots> nodes = {
      {AgentId{0}, {true, true}}, {AgentId{1}, {true, false}}, {AgentId{2}, {true, true}}};
  EXPECT_EQ(place_gang(nodes, 4, Reach::node), std::nullopt);
  EXPECT_EQ(place_gang(nodes, 4, Reach::nodes),
            (std::vector<SlotId>{{AgentId{0}, 0}, {AgentId{0}, 1}, {AgentId{2}, 0}, {AgentId{2}, 1}}));
  EXPECT_EQ(place_gang(nodes, 3, Reach::nodes), std::nullopt) << "half a node is no place";
  EXPECT_EQ(place_gang(std::span(nodes).first(2), 2, Reach::nodes),
            (std::vector<SlotId>{{AgentId{0}, 0}, {AgentId{0}, 1}}));
}
TEST(TensorParallel, sizes_that_do_not_divide_are_named_with_their_numbers) {
  ModelFacts smollm2;
  smollm2.heads = 9;
  smollm2.kv_heads = 3;
  smollm2.intermediate = 1536;
  smollm2.vocabulary = 49152;
  EXPECT_EQ(cannot_split(smollm2, 2), "9 attention heads cannot be divided by 2");
  EXPECT_EQ(cannot_split(smollm2, 3), std::nullopt);
  EXPECT_EQ(cannot_split(smollm2, 9), "1536 feed-forward rows cannot be divided by 9");
  EXPECT_EQ(usable_sizes(smollm2, 16), "1, 3");
  smollm2.heads = 12;
  EXPECT_EQ(cannot_split(smollm2, 2), "3 key-value heads cannot be divided by 2, nor replicated to it");
  EXPECT_EQ(cannot_split(smollm2, 6), std::nullopt) << "three heads, twice each";
}
TEST(Placement, prefers_an_aligned_set) { EXPECT_EQ(place({false, true, true, true}, 2), (Slots{2, 3})); }
TEST(Placement, takes_a_run_where_no_aligned_set_is_free) {
  EXPECT_EQ(place({false, true, true, false}, 2), (Slots{1, 2}));
}
TEST(Placement, knows_when_nothing_fits) {
  EXPECT_EQ(place({true, false, true}, 2), std::nullopt);
  EXPECT_EQ(place({}, 1), std::nullopt);
  EXPECT_EQ(place({true}, 0), std::nullopt);
}

TEST(Attempts, count_strikes_and_halvings_apart) {
  Attempts attempts(1);
  const ShardId shard{0};
  const SlotId device{AgentId{0}, 0};
  EXPECT_EQ(attempts.begin(shard), 1u);
  EXPECT_EQ(attempts.begin(shard), 2u);
  EXPECT_EQ(attempts.on_strike(shard, device, 1, {}, "died"), Attempts::Next::again);
  EXPECT_EQ(attempts.on_out_of_memory(shard), Attempts::Next::fresh_worker);
  EXPECT_EQ(attempts.overrides(shard).level, 0u);
  EXPECT_TRUE(attempts.current(shard, 2));
  for (std::uint32_t level = 1; level <= 6; ++level) {
    EXPECT_EQ(attempts.on_out_of_memory(shard), Attempts::Next::halved);
    EXPECT_EQ(attempts.overrides(shard).level, level);
  }
  EXPECT_FALSE(attempts.current(shard, 2)) << "an answer of whole batches no longer counts";
  EXPECT_EQ(attempts.on_out_of_memory(shard), Attempts::Next::shard_set_aside);
  EXPECT_EQ(attempts.on_strike(shard, device, 1, {}, "died"), Attempts::Next::again);
  EXPECT_EQ(attempts.on_strike(shard, device, 1, {}, "died"), Attempts::Next::shard_set_aside);
}

TEST(Roster, quarantines_a_device_after_three_deaths_on_two_shards_but_none_that_is_needed) {
  Roster roster(Moment(60), Moment(600));
  roster.on_agent(AgentId{0}, "node", 2, Moment(0));
  roster.take_due(Moment(0));
  const auto die = [&](std::uint32_t slot, std::uint32_t shard) {
    roster.on_ready({AgentId{0}, slot});
    roster.on_busy({AgentId{0}, slot});
    const ShardId id{shard};
    roster.on_death({AgentId{0}, slot}, &id, "signal 11", /*dispensable=*/slot == 0, Moment(1));
  };
  die(0, 1);
  die(0, 1);
  die(0, 1);
  EXPECT_EQ(roster.count(SlotState::quarantined), 0u) << "one shard alone proves nothing about the device";
  die(0, 2);
  EXPECT_EQ(roster.count(SlotState::quarantined), 1u);
  for (std::uint32_t shard = 3; shard < 8; ++shard) die(1, shard);
  EXPECT_EQ(roster.count(SlotState::quarantined), 1u);
}

}  // namespace
}  // namespace proctor
