#include "sharding/protocol/wording.h"

#include <gtest/gtest.h>

namespace proctor {
namespace {

TEST(Wording, counts_have_their_plural) {
  EXPECT_EQ(counted(1, "batch"), "1 batch");
  EXPECT_EQ(counted(0, "batch"), "0 batches");
  EXPECT_EQ(counted(2, "visit"), "2 visits");
  EXPECT_EQ(counted(3, "query"), "3 queries");
  EXPECT_EQ(counted(3, "day"), "3 days");
  EXPECT_EQ(counted(2, "damaged row"), "2 damaged rows");
}

TEST(Wording, durations_are_in_the_units_that_people_use) {
  EXPECT_EQ(duration_text(0), "0.0 s");
  EXPECT_EQ(duration_text(89.94), "89.9 s");
  EXPECT_EQ(duration_text(750), "12 min 30 s");
  EXPECT_EQ(duration_text(3599.6), "1 h 0 min");
  EXPECT_EQ(duration_text(171567.5), "47 h 39 min");
}

}  // namespace
}  // namespace proctor
