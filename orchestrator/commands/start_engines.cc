#include "orchestrator/commands/start_engines.h"

#include <chrono>
#include <deque>
#include <filesystem>
#include <optional>
#include <variant>

#include "orchestrator/base/formatted.h"
#include "orchestrator/ranks/agent.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kRequests = 2;
constexpr Moment kOutside{5};  // for the agent to look at what was left

/// One engine under an agent of its own, spoken to as rank 0 speaks to it.
class Trial {
 public:
  Trial(const Work& work, std::uint32_t module, const std::string& log_folder)
      : work_(work),
        module_(module),
        agent_(
            worker_binary_path(), NodePlace{}, [this](AgentReport report) { reports_.push_back(std::move(report)); },
            work.device) {
    Configure configure;
    configure.device = work.device.kind == "cpu" ? "cpu" : "cuda";
    configure.workers = spec().tensor_parallel;
    configure.cpu_threads = work.suite.machine.cpu_threads;
    configure.log_folder = log_folder;
    configure.guests = work.guests;
    agent_.handle(configure);
  }

  std::string run() {
    const Deadlines& deadlines = work_.suite.deadlines;
    const auto begun = Clock::now();
    agent_.handle(StartWorker{0, 1, work_.occupant_of(module_)});
    expect<WorkerReady>("start", deadlines.guest_load);
    const double start_s = since(begun);
    OpenVisit open{kVisit,
                   spec(),
                   0,
                   1,
                   work_.max_batch_tokens[module_],
                   work_.suite.cleanup,
                   deadlines,
                   work_.facts[module_].folder_hash};
    send(open);
    const double load_s = expect<VisitOpened>("load", deadlines.guest_load).load_s;
    const ShardAnswered answered = ask(deadlines.guest_load);
    send(CloseVisit{kVisit});
    expect<Quiesced>("close", deadlines.teardown + kOutside);
    send(TearDown{kVisit});
    const VisitClosed closed = expect<VisitClosed>("teardown", deadlines.teardown + kOutside);
    agent_.handle(LeaveNode{});
    for (const auto until = Clock::now() + std::chrono::seconds(10); !agent_.left() && Clock::now() < until;)
      agent_.poll(50);
    return told(start_s, load_s, answered, closed.row);
  }

 private:
  static constexpr VisitId kVisit{1};
  const Module& spec() const { return work_.suite.modules[module_]; }
  static double since(Clock::time_point begun) { return Moment(Clock::now() - begun).count(); }

  template <class Order>
  void send(const Order& order) {
    agent_.handle(ToWorkers{{0}, encode(WorkerOrder(order))});
  }

  /// The first requests of its first task.
  ShardAnswered ask(Moment deadline) {
    RunShard order;
    order.visit = kVisit;
    order.attempt = 1;
    order.max_batch_tokens = work_.max_batch_tokens[module_];
    order.unit_s = deadline.count();
    for (const Cell& cell : work_.cells) {
      if (cell.module.value != module_) continue;
      const std::vector<Request>& all = work_.requests_of(cell.module, cell.task).requests;
      order.requests.assign(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(kRequests, all.size())));
      order.image = work_.suite.tasks[cell.task.value].image;
      break;
    }
    if (order.requests.empty()) throw EnvironmentError("no task asks it anything");
    send(order);
    ShardAnswered answered = expect<ShardAnswered>("requests", deadline);
    for (const Response& response : answered.responses)
      if (!response.error.empty()) throw EnvironmentError("a request failed: " + response.error);
    if (answered.responses.size() != order.requests.size())
      throw EnvironmentError(std::to_string(answered.responses.size()) + " answers for " +
                             counted(order.requests.size(), "request"));
    return answered;
  }

  /// The next report of this kind. Throws EnvironmentError where it does not come, or where another says why.
  template <class Wanted>
  Wanted expect(const std::string& phase, Moment deadline) {
    const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(deadline);
    while (Clock::now() < until) {
      agent_.poll(50);
      while (!reports_.empty()) {
        const AgentReport report = std::move(reports_.front());
        reports_.pop_front();
        if (auto found = std::visit([&](const auto& body) { return take<Wanted>(phase, body); }, report)) return *found;
      }
    }
    throw EnvironmentError(phase + ": no answer after " + formatted("%g", deadline.count()) + " s");
  }

  template <class Wanted, class Body>
  std::optional<Wanted> take(const std::string& phase, const Body& body) {
    if constexpr (std::is_same_v<Body, AgentFailed>) throw EnvironmentError(body.message);
    if constexpr (std::is_same_v<Body, WorkerExited>) throw EnvironmentError(phase + ": it ended: " + body.how);
    if constexpr (std::is_same_v<Body, Measured>) seen_ = body.measures;
    if constexpr (std::is_same_v<Body, FromWorker>) {
      const WorkerReport said = decode_worker_report(body.frame);
      if (const auto* failed = std::get_if<OpenFailed>(&said)) throw EnvironmentError(failed->message);
      if (const auto* failed = std::get_if<ShardFailed>(&said)) throw EnvironmentError(failed->message);
      if (const auto* wanted = std::get_if<Wanted>(&said)) return *wanted;
    }
    return std::nullopt;
  }

  std::string told(double start_s, double load_s, const ShardAnswered& answered, const LedgerRow& row) const {
    std::string left;
    for (const auto* names : {&seen_.left, &seen_.shared_left})
      for (const std::string& one : *names) left += (left.empty() ? "" : ", ") + one;
    return formatted("started in %.1f s, loaded in %.1f s, %zu requests in %.2f s, closed in %.1f s, %.0f MiB in %u %s",
                     start_s, load_s, answered.responses.size(), answered.seconds, row.teardown_s,
                     static_cast<double>(seen_.pss_peak) / (1 << 20), seen_.processes_peak,
                     seen_.processes_peak == 1 ? "process" : "processes") +
           (left.empty() ? "; left nothing behind" : "; left behind, and was rid of: " + left);
  }

  const Work& work_;
  std::uint32_t module_;
  std::deque<AgentReport> reports_;
  OutsideMeasures seen_;
  Agent agent_;
};

}  // namespace

std::string start_engines(const Work& work, const std::string& temporary) {
  std::string text, failed;
  for (std::uint32_t m = 0; m < work.suite.modules.size(); ++m) {
    if (!work.occupant_of(m).is_guest()) continue;
    const std::string name = "module " + work.suite.modules[m].name + ", engine " + work.facts[m].engine.name;
    const std::filesystem::path folder = std::filesystem::path(temporary) / std::to_string(m);
    std::filesystem::create_directories(folder);
    try {
      text += name + ": " + Trial(work, m, folder.string()).run() + "\n";
      std::filesystem::remove_all(folder);
    } catch (const Error& error) {
      failed += (failed.empty() ? "" : "\n") + name + ": " + error.what() + "; its log is in " + folder.string();
    }
  }
  std::error_code not_empty;
  std::filesystem::remove(temporary, not_empty);
  if (!failed.empty()) throw EnvironmentError(text + failed);
  return text;
}

}  // namespace proctor
