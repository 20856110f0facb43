#include "orchestrator/run/orchestrator.h"

#include <unistd.h>

#include <iostream>

#include "orchestrator/base/machine.h"
#include "orchestrator/base/signals.h"
#include "orchestrator/planning/calibration_file.h"
#include "sharding/planning/tensor_parallel.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

constexpr double kOrphanDeadlines = 10;  // times the agent deadline, before an agent leaves a silent rank 0

std::uint64_t bytes_per_worker(const Work& work) {
  std::uint64_t largest = 0;
  for (std::size_t m = 0; m < work.facts.size(); ++m)
    largest = std::max(largest, work.facts[m].parameters * 4 / work.suite.modules[m].tensor_parallel);
  return largest + largest / 2 + (512u << 20);
}

std::vector<std::string> module_names(const Suite& suite) {
  std::vector<std::string> names;
  for (const Module& module : suite.modules) names.push_back(module.name);
  return names;
}

}  // namespace

Orchestrator::Orchestrator(const Work& work, const RunOptions& options, const RunDirectory& directory, RunStore& store,
                           RunLock& lock, MpiSession& mpi, Resumed resumed)
    : work_(work),
      options_(options),
      directory_(directory),
      mpi_(mpi),
      scoreboard_(work, directory, options.limit,
                  [this](const auto& path, std::string content) { store_thread_.write(path, std::move(content)); }),
      local_agent_(
          worker_binary_path(), static_cast<std::uint32_t>(mpi.node_rank()),
          [this](AgentReport report) { inbox_.emplace_back(kLocal, std::move(report)); }, work.device),
      store_thread_(store, &lock),
      view_(options.progress, std::cerr),
      earlier_seconds_(resumed.seconds),
      answered_before_(work.shards.size(), false),
      forecast_(work, {work.device.kind, read_calibration(calibration_path(), work.device.kind)}) {
  log("# started by host " + host_name() + ", pid " + std::to_string(getpid()));
  Conductor::Options settings{work.suite.deadlines, work.suite.cleanup.leak_tolerance_bytes,
                              VisitId{resumed.next_visit}, module_names(work.suite),
                              work.device.kind == "cpu" ? Reach::node : Reach::nodes};
  Executor& executor = *this;
  conductor_.emplace(std::move(settings), forecast_.outlooks(), work.shards, executor);
  for (const auto& [shard, responses] : resumed.answers) {
    conductor_->restore_answered(ShardId{shard});
    answered_before_[shard] = true;
    scoreboard_.add(work.shards[shard], responses);
  }
  events_ = resumed.events;
  overrides_ = resumed.overrides;
  for (const auto& [shard, overrides] : resumed.overrides) conductor_->restore_overrides(ShardId{shard}, overrides);
  for (const Shard& shard : work.shards) total_flops_ += shard.flops;
  std::string ledger;
  for (const std::string& row : resumed.ledger) ledger += row + "\n";
  if (std::filesystem::exists(directory.ledger()) || !ledger.empty())
    store_thread_.write(directory.ledger(), ledger);  // a crash may have torn its last line
  if (resumed.bad_rows)
    say("proctor: " + directory.database().string() + ": " + counted(resumed.bad_rows, "damaged row") +
        "; what was there counts as not acknowledged and is computed again");
  if (!resumed.answers.empty())
    say("proctor: already answered: " + std::to_string(resumed.answers.size()) + " of " +
        counted(work.shards.size(), "shard"));
}

/// To the terminal and to logs/orchestrator.log.
void Orchestrator::say(const std::string& message) {
  view_.say(message);
  log(message);
}

/// With the seconds since the start.
void Orchestrator::log(const std::string& message) {
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%9.3f ", now().count());
  store_thread_.append(directory_.logs() / "orchestrator.log", seconds + message + "\n");
}

Moment Orchestrator::now() const { return std::chrono::steady_clock::now() - begin_; }

// ---- reports

void Orchestrator::on_report(AgentId agent, AgentReport report) {
  std::visit([&](auto& body) { on(agent, body); }, report);
}

void Orchestrator::on(AgentId agent, const AgentHello& report) {
  const auto differs = [&](const char* what, const std::string& theirs, const std::string& ours) {
    if (theirs == ours || !refused_.empty()) return;
    refused_ = "node " + report.host + " has another " + what + " (" + theirs + ") than node " + host_name() + " (" +
               ours + "); one run needs one kind of device";
    refused_fault_ = Fault::environment;
  };
  differs("device kind", report.facts.kind, work_.device.kind);
  differs("instruction set", report.facts.instruction_set, work_.device.instruction_set);
  differs("LibTorch", report.facts.torch_version, work_.device.torch_version);
  differs("build of proctor", report.facts.numerics, work_.device.numerics);
  hosts_.push_back(report.host);
  workers_.push_back(report.slots);
  if (refused_.empty()) conductor_->on_agent(agent, report.host, report.slots, clock_.now());
  if (refused_.empty() && all_agents_here()) refuse_gangs_without_a_place();
}

/// Once every agent has said how many workers it has.
void Orchestrator::refuse_gangs_without_a_place() {
  for (std::size_t m = 0; m < work_.suite.modules.size(); ++m) {
    const Module& module = work_.suite.modules[m];
    const std::uint32_t wanted = module.tensor_parallel, place = conductor_->widest_place(wanted);
    if (place == wanted || !conductor_->has_work(ModuleId{static_cast<std::uint32_t>(m)})) continue;
    refused_ = "module " + module.name + ": tensor_parallel " + std::to_string(wanted) + " needs " +
               counted(wanted, "worker") + " side by side on one node, and there are at most " + std::to_string(place) +
               "; start with --workers " + std::to_string(wanted) + ", or set its tensor_parallel to one of " +
               usable_sizes(work_.facts[m], place);
    refused_fault_ = Fault::environment;
    return;
  }
}

void Orchestrator::on(AgentId, const AgentFailed& report) {
  if (report.disk) throw StoreFailure("node " + report.host + ": " + report.message);
  refused_ = "node " + report.host + ": " + report.message;
  refused_fault_ = fault_from(report.fault);
}

void Orchestrator::on(AgentId agent, FromWorker& report) {
  WorkerReport body;
  try {
    body = decode_worker_report(frame_of(report.frame));
  } catch (const Error& error) {  // costs that worker and its shard, not the run
    warn("worker " + std::to_string(report.slot) + " sent a message that cannot be read (" + error.what() +
         "); it is killed");
    return kill({agent, report.slot});
  }
  measure({agent, report.slot}, body);
  conductor_->on_report({agent, report.slot}, report.incarnation, std::move(body), clock_.now());
}

void Orchestrator::on(AgentId agent, const WorkerExited& report) {
  conductor_->on_exit({agent, report.slot}, report.incarnation, report.by, report.how, clock_.now());
}

void Orchestrator::on(AgentId agent, Heartbeat& report) {
  conductor_->on_heard(agent, clock_.now());
  for (FromWorker& progress : report.progress) on(agent, progress);
}

void Orchestrator::on(AgentId, const DrainAsked& report) { drain("signal " + std::to_string(report.signal)); }

void Orchestrator::drain(const std::string& why) {
  if (!drain_reason_.empty()) return;
  drain_reason_ = why;
  drain_until_ = now() + work_.suite.deadlines.drain;
  say("proctor: " + why + ": no new shards; running ones finish within " +
      duration_text(work_.suite.deadlines.drain.count()));
  conductor_->drain();
  conductor_->on_tick(clock_.now());
}

// ---- loop

void Orchestrator::on_durable() {
  std::vector<ShardId> countable = store_thread_.acknowledged();
  countable.insert(countable.end(), given_up_.begin(), given_up_.end());
  given_up_.clear();
  for (ShardId shard : countable) {
    scoreboard_.add(work_.shards[shard.value], unstored_.at(shard.value));
    unstored_.erase(shard.value);
    conductor_->on_stored(shard, clock_.now());
  }
}

/// Signs of life, both ways; and the progress that the local agent held back.
void Orchestrator::beat() {
  if (now() - last_beat_ < kBeat) return;
  last_beat_ = now();
  for (int rank = 1; rank < mpi_.size() && !agents_stopped_; ++rank)  // afterwards they are in MPI_Finalize
    mpi_.send(rank, encode(AgentOrder(OrchestratorBeat{})));
  Heartbeat local{0, local_agent_.take_progress()};
  on(kLocal, local);
}

void Orchestrator::step() {
  clock_.tick();
  mpi_.progress();
  while (auto message = mpi_.receive())
    inbox_.emplace_back(AgentId{static_cast<std::uint32_t>(message->first)}, decode_agent_report(message->second));
  local_agent_.poll(inbox_.empty() ? 1 : 0);
  beat();
  while (!inbox_.empty()) {
    auto [agent, report] = std::move(inbox_.front());
    inbox_.pop_front();
    on_report(agent, std::move(report));
  }
  on_durable();
  conductor_->on_tick(clock_.now());
  scoreboard_.collect(false);
  show_progress(false);
  if (asked() == Asked::drain) drain("signal " + std::to_string(last_signal()));
}

void Orchestrator::start_agents() {
  const Configure order{options_.device,
                        options_.workers.value_or(work_.suite.machine.workers.value_or(0)),
                        work_.suite.machine.cpu_threads,
                        options_.memory_limit_bytes,
                        bytes_per_worker(work_),
                        std::filesystem::absolute(directory_.logs()).string(),
                        kOrphanDeadlines * work_.suite.deadlines.agent.count(),
                        work_.suite.deadlines.load.count()};
  for (int rank = 0; rank < mpi_.size(); ++rank) send(AgentId{static_cast<std::uint32_t>(rank)}, order);
}

}  // namespace proctor
