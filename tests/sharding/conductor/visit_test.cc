#include "sharding/conductor/visit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

namespace proctor {
namespace {

const std::vector<Member> kTwo = {{{AgentId{0}, 0}, 1}, {{AgentId{0}, 1}, 1}};
Visit visit_of_two() { return Visit(VisitId{3}, ModuleId{0}, kTwo, Moment(0), Deadlines{}); }

Visit serving_visit() {
  Visit visit = visit_of_two();
  visit.on_opened(0, Moment(1));
  visit.on_opened(1, Moment(1));
  return visit;
}
Visit visit_tearing_down() {
  Visit visit = serving_visit();
  visit.on_closing(Moment(2));
  visit.on_quiesced(0, true);
  visit.on_quiesced(1, true);
  visit.on_tearing_down(Moment(3));
  return visit;
}

TEST(Visit, goes_the_ways_that_the_documentation_shows_and_no_other) {
  std::ifstream file(PROCTOR_SOURCE "/docs/teardown.md");
  std::vector<std::string> shown, expected = {"| from | when | to |", "|---|---|---|"};
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("| from |") || (!shown.empty() && line.starts_with("|"))) shown.push_back(line);
  for (const VisitTransition& way : visit_transitions())
    expected.push_back("| `" + to_string(way.from) + "` | " + to_string(way.event) + " | `" + to_string(way.to) +
                       "` |");
  shown.resize(std::min(shown.size(), expected.size()));
  EXPECT_EQ(shown, expected);
  Visit aborted = serving_visit();
  aborted.on_aborting(Moment(2), "why");
  EXPECT_DEATH(aborted.on_shard(ShardId{0}, 1, Moment(3)), "by its table");
}

TEST(Visit, serves_when_the_last_member_has_opened) {
  Visit visit = visit_of_two();
  EXPECT_FALSE(visit.on_opened(0, Moment(1)));
  EXPECT_TRUE(visit.on_opened(1, Moment(1)));
  EXPECT_EQ(visit.state(), VisitState::serving);
}

TEST(Visit, tears_down_only_when_every_member_says_that_it_is_well) {
  Visit visit = serving_visit();
  visit.on_closing(Moment(2));
  EXPECT_FALSE(visit.on_closed(0, {})) << "nobody was told to tear down";
  EXPECT_EQ(visit.on_quiesced(0, true), Visit::Agreement::pending);
  EXPECT_EQ(visit.on_quiesced(1, true), Visit::Agreement::orderly);
  visit.on_tearing_down(Moment(3));
  EXPECT_FALSE(visit.on_closed(0, {}));
  EXPECT_TRUE(visit.on_closed(1, {}));
  EXPECT_EQ(visit.verdict(0), Verdict::clean);
}

TEST(Visit, one_member_that_is_not_well_sends_all_down_the_abort_path) {
  Visit visit = serving_visit();
  visit.on_closing(Moment(2));
  EXPECT_EQ(visit.on_quiesced(1, false), Visit::Agreement::abort);
  visit.on_aborting(Moment(2), "device error");
  EXPECT_EQ(visit.on_quiesced(0, true), Visit::Agreement::pending) << "too late to be orderly";
  EXPECT_FALSE(visit.on_closed(0, {}));
  EXPECT_TRUE(visit.on_gone(1));
  EXPECT_EQ(visit.verdict(0), Verdict::aborted);
  EXPECT_EQ(visit.reason(), "device error");
}

TEST(Visit, one_unclean_member_recycles_the_gang) {
  Visit visit = visit_tearing_down();
  LedgerRow row;
  row.communicators_left = 1;
  visit.on_closed(0, {});
  visit.on_closed(1, row);
  EXPECT_EQ(visit.verdict(0), Verdict::recycled);
}

TEST(Visit, every_wait_has_a_deadline_of_its_own) {
  Visit visit = visit_of_two();
  EXPECT_FALSE(visit.late(Moment(599)));
  EXPECT_EQ(visit.late(Moment(600))->what, "load");
  visit.on_opened(0, Moment(1));
  visit.on_opened(1, Moment(1));
  EXPECT_FALSE(visit.late(Moment(1000))) << "an idle gang is not late";
  visit.on_shard(ShardId{0}, 1, Moment(1000));
  EXPECT_EQ(visit.late(Moment(1060))->what, "progress");
  visit.on_progress(0, {VisitId{1}, "batch 2 of 2", 2}, Moment(1050));
  visit.on_progress(1, {VisitId{1}, "batch 2 of 2", 2}, Moment(1050));
  EXPECT_FALSE(visit.late(Moment(1060)));
  visit.on_closing(Moment(1060));
  EXPECT_EQ(visit.late(Moment(1090))->what, "teardown");
  visit.on_quiesced(0, true);
  visit.on_quiesced(1, true);
  visit.on_tearing_down(Moment(1090));
  EXPECT_EQ(visit.late(Moment(1120))->what, "teardown");
  visit.on_aborting(Moment(1120), "late");
  EXPECT_EQ(visit.late(Moment(1130))->what, "abort");
}

TEST(Visit, the_laggard_is_the_member_with_the_fewest_units) {
  Visit visit = serving_visit();
  visit.on_shard(ShardId{0}, 1, Moment(10));
  visit.on_progress(0, {VisitId{1}, "batch 3 of 4", 3}, Moment(20));
  visit.on_progress(1, {VisitId{1}, "batch 2 of 4", 2}, Moment(15));
  EXPECT_EQ(visit.late(Moment(76))->members, std::vector<std::uint32_t>{1}) << "the other one is not late yet";
  const Late late = *visit.late(Moment(90));
  EXPECT_EQ(late.members, std::vector<std::uint32_t>{1}) << "the other one waits for it";
  EXPECT_EQ(late.unit, "batch 2 of 4");
}

TEST(Visit, of_two_as_far_behind_neither_is_named_alone) {
  Visit visit = serving_visit();
  visit.on_shard(ShardId{0}, 1, Moment(10));
  visit.on_progress(0, {VisitId{1}, "decode step 7", 7}, Moment(10));
  visit.on_progress(1, {VisitId{1}, "decode step 7", 7}, Moment(10.003));
  EXPECT_EQ(visit.late(Moment(70.001))->members, (std::vector<std::uint32_t>{0, 1}));
}

TEST(Visit, measurements_are_not_overwritten_by_an_abort_that_came_too_late) {
  Visit visit = visit_tearing_down();
  LedgerRow row;
  row.tokens = 7;
  visit.on_closed(0, row);
  visit.on_aborting(Moment(4), "member 1 died");
  visit.on_closed(0, {});
  EXPECT_EQ(visit.row(0)->tokens, 7u);
}

TEST(Visit, a_member_that_waits_in_a_collective_is_not_the_laggard_though_its_unit_is_the_same) {
  Visit visit = serving_visit();
  visit.on_shard(ShardId{0}, 1, Moment(10));
  visit.on_progress(0, {VisitId{1}, "batch 1 of 1", 1}, Moment(10));
  visit.on_progress(1, {VisitId{1}, "batch 1 of 1", 1}, Moment(12));
  visit.on_waiting(0);
  EXPECT_FALSE(visit.late(Moment(71))) << "whom it waits for still has a second";
  EXPECT_EQ(visit.late(Moment(72))->members, std::vector<std::uint32_t>{1});
  visit.on_waiting(1);
  EXPECT_EQ(visit.late(Moment(72))->members, (std::vector<std::uint32_t>{0, 1})) << "nobody can be named";
}

TEST(Visit, nobody_waits_for_a_member_that_is_gone) {
  Visit visit = serving_visit();
  visit.on_aborting(Moment(5), "member 1 died");
  EXPECT_FALSE(visit.on_gone(1));
  EXPECT_FALSE(visit.member({AgentId{0}, 1})) << "its slot may serve elsewhere";
  EXPECT_TRUE(visit.on_closed(0, {}));
}

TEST(Residue, is_exact_for_allocated_bytes_and_tolerant_for_caches) {
  LedgerRow row;
  row.warmed_up = true;
  row.reserved_after = 100;
  row.device_free_before = 100;
  EXPECT_FALSE(find_residue(row, 100));
  EXPECT_TRUE(find_residue(row, 99));
  row.allocated_after = 1;
  EXPECT_EQ(find_residue(row, 1u << 30)->text, "1 allocated bytes more than before");
  EXPECT_TRUE(find_residue(row, 1u << 30)->exact);
}

TEST(Residue, what_a_process_takes_once_is_no_leak) {
  LedgerRow row;
  row.device_free_before = 100u << 20;
  row.threads = 4;
  EXPECT_FALSE(find_residue(row, 0)) << "kernels and NCCL's 50 MiB never come back";
  row.warmed_up = true;
  EXPECT_EQ(find_residue(row, 0)->counter, "device_free_after");
  EXPECT_EQ(find_residue(row, 0, {"device_free_after"})->counter, "threads");
  row.new_threads = "pool";
  EXPECT_EQ(find_residue(row, 0, {"device_free_after"})->text, "4 threads more than before (pool)");
  EXPECT_FALSE(find_residue(row, 0, {"device_free_after", "threads"}));
}

}  // namespace
}  // namespace proctor
