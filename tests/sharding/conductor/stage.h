// A conductor with one node whose workers answer as told, and an executor that writes down what it says.
#pragma once

#include <string>
#include <vector>

#include "sharding/conductor/conductor.h"
#include "tests/sharding/conductor/recording_executor.h"

namespace proctor {

using Said = std::vector<std::string>;
constexpr AgentId kNode{0};
inline SlotId slot(std::uint32_t n) { return {kNode, n}; }
inline Response some_answer(double loglikelihood = 1) { return {LoglikelihoodAnswer{loglikelihood, true, 1, 0}, ""}; }

inline std::vector<Shard> shards(std::initializer_list<std::uint32_t> modules) {
  std::vector<Shard> out;
  for (std::uint32_t module : modules)
    out.push_back({ModuleId{module}, TaskId{0}, {0}, 100.0 - static_cast<double>(out.size())});
  return out;
}

/// A conductor with one agent whose workers answer as told.
struct Stage {
  RecordingExecutor executor;
  Conductor conductor;
  std::uint32_t incarnation = 1;

  Stage(std::vector<Shard> work, std::size_t modules, std::uint32_t workers)
      : Stage(std::move(work), std::vector<ModuleOutlook>(modules, ModuleOutlook{1, 1e-3, 1e-6}), workers) {}
  Stage(std::vector<Shard> work, std::vector<ModuleOutlook> modules, std::uint32_t workers)
      : conductor({Deadlines{}, 16u << 20, VisitId{1}, names(modules.size())}, modules, std::move(work), executor) {
    conductor.on_agent(kNode, "node0", workers, Moment(0));
  }
  static std::vector<std::string> names(std::size_t n) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < n; ++i) out.push_back("m" + std::to_string(i));
    return out;
  }
  void report(std::uint32_t n, WorkerReport body, double now = 1, std::uint32_t inc = 1) {
    conductor.on_report(slot(n), inc, std::move(body), Moment(now));
  }
  void batch(std::uint32_t n, std::uint32_t visit, std::int64_t batch, std::int64_t request, double now = 1,
             std::uint32_t inc = 1) {
    report(n, Progress{VisitId{visit}, "batch", 1, batch, request}, now, inc);
  }
  void ready(std::uint32_t n, double now = 1, std::uint32_t inc = 1) { report(n, WorkerReady{1, {}}, now, inc); }
  void opened(std::uint32_t n, std::uint32_t visit, double now = 1, std::uint32_t inc = 1) {
    report(n, VisitOpened{VisitId{visit}, 0.1}, now, inc);
  }
  void answered(std::uint32_t n, std::uint32_t visit, std::uint32_t shard, double now = 1, std::uint32_t inc = 1,
                std::uint32_t attempt = 1) {
    report(n, ShardAnswered{VisitId{visit}, ShardId{shard}, attempt, {some_answer()}, 1, 0.1}, now, inc);
  }
  void quiesced(std::uint32_t n, std::uint32_t visit, double now = 1, std::uint32_t inc = 1) {
    report(n, Quiesced{VisitId{visit}, true, ""}, now, inc);
  }
  void closed(std::uint32_t n, std::uint32_t visit, LedgerRow row = {}, double now = 1, std::uint32_t inc = 1) {
    report(n, VisitClosed{VisitId{visit}, row}, now, inc);
  }
  void died(std::uint32_t n, double now = 1, std::uint32_t inc = 1, EndedBy by = EndedBy::itself) {
    conductor.on_exit(slot(n), inc, by, "signal 6 (Aborted)", Moment(now));
  }
};

}  // namespace proctor
