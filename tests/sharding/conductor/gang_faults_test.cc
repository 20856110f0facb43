// Every fault at every step in every member, on the real state machines: the run ends, every shard is answered, no
// device is used that was not measured clean, and the ledger names what happened.
#include <gtest/gtest.h>

#include <random>

#include "tests/sharding/conductor/fake_gang.h"

namespace proctor {
namespace {

const std::vector<std::string> kUnits = {"form gang",
                                         "read 1",
                                         "read 2",
                                         "batch 1",
                                         "batch 2",
                                         "end step",
                                         "teardown synchronize",
                                         "teardown drop_batches",
                                         "teardown communicators",
                                         "teardown drop_weights",
                                         "teardown clear_workspaces",
                                         "teardown empty_caches",
                                         "teardown measure"};
const std::vector<Harm> kHarms = {Harm::exception, Harm::out_of_memory, Harm::kill,
                                  Harm::stop,      Harm::silence,       Harm::leak};

std::string text(const PlantedFault& fault) {
  const char* names[] = {"exception", "out of memory", "kill", "stop", "silence", "leak"};
  return std::string(names[static_cast<int>(fault.harm)]) + " in slot " + std::to_string(fault.slot) + " at '" +
         fault.unit + "', time " + std::to_string(fault.occurrence);
}

/// A wide module and a narrow one, so that the devices of the broken gang serve again.
FakeGang::Plan plan(std::uint32_t width, std::vector<PlantedFault> faults) {
  return {std::max(width, 2u), {width, 1}, {3, 3}, std::move(faults)};
}

/// How many visits did not end clean; checks that each has a row a member and that unclean ones say why.
std::size_t check_ledger(const FakeGang& world) {
  std::map<VisitId, std::vector<const LedgerEntry*>> visits;
  for (const LedgerEntry& entry : world.ledger) visits[entry.visit].push_back(&entry);
  std::size_t unclean = 0;
  for (const auto& [id, rows] : visits) {
    EXPECT_EQ(rows.size(), rows[0]->members) << "visit " << id.value;
    for (const LedgerEntry* row : rows) {
      EXPECT_EQ(row->verdict, rows[0]->verdict);
      EXPECT_EQ(row->verdict == Verdict::clean, row->reason.empty()) << row->reason;
    }
    unclean += rows[0]->verdict != Verdict::clean;
  }
  return unclean;
}

TEST(GangFaults, an_undisturbed_run_is_clean) {
  for (std::uint32_t width : {1u, 2u, 3u, 4u}) {
    FakeGang world(plan(width, {}));
    ASSERT_TRUE(world.run());
    EXPECT_EQ(world.answers.size(), world.total());
    EXPECT_EQ(check_ledger(world), 0u);
    EXPECT_TRUE(world.warnings.empty());
  }
}

TEST(GangFaults, one_fault_anywhere_costs_no_answer_and_is_named) {
  std::size_t cases = 0, met = 0;
  for (std::uint32_t width : {1u, 2u, 3u, 4u})
    for (std::uint32_t slot = 0; slot < std::max(width, 2u); ++slot)
      for (const std::string& unit : kUnits)
        for (Harm harm : kHarms)
          for (std::uint32_t occurrence : {1u, 2u}) {
            const PlantedFault fault{slot, unit, harm, occurrence};
            FakeGang world(plan(width, {fault}));
            ++cases;
            ASSERT_TRUE(world.run()) << "width " << width << ", " << text(fault);
            EXPECT_EQ(world.answers.size(), world.total()) << "width " << width << ", " << text(fault);
            for (const auto& [shard, error] : world.answers)
              EXPECT_EQ(error, "") << "width " << width << ", " << text(fault);
            const std::size_t unclean = check_ledger(world);
            met += world.planted();
            EXPECT_EQ(unclean, world.planted()) << "width " << width << ", " << text(fault);
            for (const LedgerEntry& row : world.ledger)
              if (harm == Harm::kill || harm == Harm::stop || harm == Harm::silence) {
                const std::string culprit = "worker " + std::to_string(slot) + " on node ";
                EXPECT_TRUE(row.reason.empty() || row.reason.starts_with(culprit)) << row.reason << ": " << text(fault);
              }
            if (HasFailure()) return;
          }
  EXPECT_GE(cases, 1600u);
  EXPECT_GE(met, cases * 8 / 10) << "most planted faults must come to pass";
}

TEST(GangFaults, pairs_of_faults_at_random_still_end_with_every_shard_answered) {
  std::mt19937 random(4);
  const auto pick = [&](std::size_t n) { return static_cast<std::uint32_t>(random() % n); };
  for (int i = 0; i < 4000; ++i) {
    const std::uint32_t width = 1 + pick(4);
    std::vector<PlantedFault> faults;
    for (int f = 0; f < 2; ++f)
      faults.push_back(
          {pick(std::max(width, 2u)), kUnits[pick(kUnits.size())], kHarms[pick(kHarms.size())], 1 + pick(3)});
    FakeGang world(plan(width, faults));
    ASSERT_TRUE(world.run()) << "case " << i << ", width " << width << ": " << text(faults[0]) << " and "
                             << text(faults[1]);
    EXPECT_EQ(world.answers.size(), world.total());
    check_ledger(world);
    ASSERT_FALSE(HasFailure()) << "case " << i << ", width " << width << ": " << text(faults[0]) << " and "
                               << text(faults[1]);
  }
}

}  // namespace
}  // namespace proctor
