// Fifty visits on real workers behind a real agent, alternating a module at tensor_parallel 2 and one at 1: every
// process is afterwards what it was after its first visit.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "orchestrator/ranks/agent.h"
#include "sharding/conductor/visit.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
constexpr int kVisits = 50;

class GangVisits : public testing::Test {
 protected:
  GangVisits() {
    fs::create_directories(root_);
    agent_.handle(Configure{"cpu", 2, 1, 0, 1, root_.string()});
    for (std::uint32_t slot : {0u, 1u}) agent_.handle(StartWorker{slot, 1});
    for (std::uint32_t slot : {0u, 1u}) wait_for<WorkerReady>(slot);
  }
  ~GangVisits() override {
    leaving_ = true;
    agent_.handle(LeaveNode{true});
    while (!agent_.left()) agent_.poll(10);
    fs::remove_all(root_);
  }

  void on(const AgentReport& report) {
    EXPECT_TRUE(leaving_ || !std::holds_alternative<WorkerExited>(report)) << "a worker died";
    const auto* said = std::get_if<FromWorker>(&report);
    if (!said) return;
    WorkerReport body = decode_worker_report(said->frame);
    if (!std::holds_alternative<Progress>(body)) heard_[said->slot].push_back(std::move(body));
  }
  void say(std::uint32_t slot, const WorkerOrder& order) { agent_.handle(ToWorkers{{slot}, encode(order)}); }
  /// The next report of a worker has to be of this kind.
  template <class Report>
  Report wait_for(std::uint32_t slot) {
    for (int i = 0; i < 10000 && heard_[slot].empty(); ++i) agent_.poll(10);
    if (heard_[slot].empty() || !std::holds_alternative<Report>(heard_[slot].front()))
      throw std::runtime_error("worker " + std::to_string(slot) + " said something else, or nothing");
    const Report report = std::get<Report>(heard_[slot].front());
    heard_[slot].pop_front();
    return report;
  }

  /// One visit on these slots, from OpenVisit to the members' rows.
  std::vector<LedgerRow> visit(VisitId id, const std::string& model, const std::vector<std::uint32_t>& slots) {
    const auto size = static_cast<std::uint32_t>(slots.size());
    OpenVisit open{id, {}, 0, size, 256, {}, {}};
    open.module.path = (fs::path(PROCTOR_TINY_MODELS) / model).string();
    open.module.tensor_parallel = size;
    if (size > 1) agent_.handle(ShareMemory{id, slots});
    for (std::uint32_t& rank = open.gang_rank; rank < size; ++rank) say(slots[rank], open);
    for (std::uint32_t slot : slots) wait_for<VisitOpened>(slot);
    RunShard run{id, ShardId{0}, 1, 256, {}, {}, {}, 60, {}, {}};
    run.requests = {{{"a context", "and its continuation"}, Loglikelihood{}}, {{"go on"}, Generate{{"\x01"}, 8}}};
    for (std::uint32_t slot : slots) say(slot, run);
    EXPECT_EQ(wait_for<ShardAnswered>(slots[0]).responses.size(), 2u);
    for (std::uint32_t slot : slots) say(slot, CloseVisit{id});
    for (std::uint32_t slot : slots) EXPECT_TRUE(wait_for<Quiesced>(slot).ok);
    for (std::uint32_t slot : slots) say(slot, proctor::TearDown{id});
    std::vector<LedgerRow> rows;
    for (std::uint32_t slot : slots) rows.push_back(wait_for<VisitClosed>(slot).row);
    return rows;
  }

  fs::path root_ = fs::temp_directory_path() / ("proctor-visits-" + std::to_string(::getpid()));
  bool leaving_ = false;
  std::map<std::uint32_t, std::deque<WorkerReport>> heard_;
  Agent agent_{(fs::read_symlink("/proc/self/exe").parent_path() / "proctor-worker").string(),
               {},
               [this](const AgentReport& report) { on(report); }};
};

/// Of y over its index, by least squares.
double slope(const std::vector<double>& y) {
  const double n = static_cast<double>(y.size()), mean_x = (n - 1) / 2;
  double mean_y = 0, xy = 0, xx = 0;
  for (const double value : y) mean_y += value / n;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double x = static_cast<double>(i) - mean_x;
    xy += x * (y[i] - mean_y);
    xx += x * x;
  }
  return xy / xx;
}

TEST_F(GangVisits, fifty_alternating_ones_leave_nothing_behind) {
  std::map<std::uint32_t, std::vector<LedgerRow>> rows;  // of each slot
  std::uint32_t id = 0;
  for (int i = 0; i < kVisits; ++i) {
    if (i % 2 == 0) {
      const auto members = visit(VisitId{++id}, "llama", {0, 1});
      for (std::uint32_t slot : {0u, 1u}) rows[slot].push_back(members[slot]);
    } else {
      for (std::uint32_t slot : {0u, 1u}) rows[slot].push_back(visit(VisitId{++id}, "qwen3", {slot})[0]);
    }
  }
  for (const auto& [slot, mine] : rows) {
    std::vector<double> resident;
    for (std::size_t i = 0; i < mine.size(); ++i) {
      const LedgerRow& row = mine[i];
      EXPECT_FALSE(find_residue(row, 0)) << "visit " << i << ": " << find_residue(row, 0)->text;
      EXPECT_EQ(row.allocated_after, mine[0].allocated_before);
      EXPECT_EQ(row.communicators_left + row.graphs_left + row.modules_left, 0u);
      EXPECT_EQ(row.file_descriptors, mine[0].file_descriptors) << "visit " << i;
      EXPECT_EQ(row.threads, mine[0].threads) << "visit " << i;
      EXPECT_EQ(row.mappings, mine[0].mappings) << "visit " << i;
      if (i > 0) resident.push_back(static_cast<double>(row.resident_after));
    }
    EXPECT_LT(slope(resident), 64 * 1024) << "bytes a visit, worker " << slot;
    RecordProperty("resident_slope_bytes_" + std::to_string(slot), std::to_string(slope(resident)));
  }
}

}  // namespace
}  // namespace proctor
