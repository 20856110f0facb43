#include "sharding/visit.h"

#include <gtest/gtest.h>

namespace proctor {
namespace {

const std::vector<SlotId> kTwo = {{AgentId{0}, 0}, {AgentId{0}, 1}};
Visit visit_of_two() { return Visit(VisitId{3}, ModuleId{0}, kTwo, Moment(0), Deadlines{}); }

TEST(Visit, serves_when_the_last_member_has_opened_and_ends_when_the_last_has_closed) {
  Visit visit = visit_of_two();
  EXPECT_FALSE(visit.on_opened(0, Moment(1)));
  EXPECT_TRUE(visit.on_opened(1, Moment(1)));
  EXPECT_EQ(visit.state(), VisitState::serving);
  visit.on_closing(Moment(2));
  EXPECT_FALSE(visit.on_closed(0, {}));
  EXPECT_TRUE(visit.on_closed(1, {}));
  EXPECT_EQ(visit.verdict(0), Verdict::clean);
}

TEST(Visit, one_unclean_member_recycles_the_gang) {
  Visit visit = visit_of_two();
  visit.on_opened(0, Moment(1));
  visit.on_opened(1, Moment(1));
  visit.on_closing(Moment(2));
  LedgerRow row;
  row.communicators_left = 1;
  visit.on_closed(0, {});
  visit.on_closed(1, row);
  EXPECT_EQ(visit.verdict(0), Verdict::recycled);
}

TEST(Visit, every_wait_has_a_deadline_of_its_own) {
  Visit visit = visit_of_two();
  EXPECT_EQ(visit.late(Moment(599)), std::nullopt);
  EXPECT_EQ(visit.late(Moment(600)), "load");
  visit.on_opened(0, Moment(1));
  visit.on_opened(1, Moment(1));
  EXPECT_EQ(visit.late(Moment(1000)), std::nullopt) << "an idle gang is not late";
  visit.on_shard(ShardId{0}, Moment(1000));
  EXPECT_EQ(visit.late(Moment(1060)), "progress");
  visit.on_progress(Moment(1050));
  EXPECT_EQ(visit.late(Moment(1060)), std::nullopt);
  visit.on_closing(Moment(1060));
  EXPECT_EQ(visit.late(Moment(1090)), "teardown");
}

TEST(Dirt, is_exact_for_allocated_bytes_and_tolerant_for_caches) {
  LedgerRow row;
  row.reserved_after = 100;
  row.device_free_before = 100;
  EXPECT_EQ(dirt(row, 100), std::nullopt);
  EXPECT_TRUE(dirt(row, 99).has_value());
  row.allocated_after = 1;
  EXPECT_TRUE(dirt(row, 1u << 30).has_value());
}

}  // namespace
}  // namespace proctor
