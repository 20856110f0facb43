#include "orchestrator/orchestrator.h"

#include <unistd.h>

#include <iostream>
#include <utility>

#include "orchestrator/exit_code.h"
#include "orchestrator/ledger_view.h"
#include "orchestrator/machine.h"
#include "orchestrator/prompts/python_text.h"
#include "orchestrator/signals.h"
#include "sharding/tensor_parallel.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;
constexpr AgentId kLocal{0};
constexpr Moment kLeaveDeadline{10}, kStatusPause{1}, kViewPause{0.1};
constexpr Moment kScoreDeadline{86400}, kHelloDeadline{120}, kInterruptPatience{2};
constexpr Moment kFlushDeadline{120};    // for the file system to take what is left to write
constexpr double kOrphanDeadlines = 10;  // times the agent deadline, before an agent leaves a silent rank 0
constexpr double kFlopsPerSecondCpu = 4e10, kFlopsPerSecondGpu = 1e14, kLoadBytesPerSecond = 1e9;

std::vector<ModuleOutlook> outlooks(const Work& work) {
  std::vector<ModuleOutlook> out;
  const double speed = work.device.kind == "cpu" ? kFlopsPerSecondCpu : kFlopsPerSecondGpu;
  for (std::size_t m = 0; m < work.suite.modules.size(); ++m) {
    const std::uint32_t members = work.suite.modules[m].tensor_parallel;
    out.push_back({members, 1 / (speed * members),
                   0.5 + static_cast<double>(work.facts[m].weight_bytes) / (kLoadBytesPerSecond * members)});
  }
  return out;
}

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

std::string worker_binary_path();

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
      view_(options.progress, std::cerr) {
  log("# started by host " + host_name() + ", pid " + std::to_string(getpid()));
  Conductor::Options settings{work.suite.deadlines, work.suite.cleanup.leak_tolerance_bytes,
                              VisitId{resumed.next_visit}, module_names(work.suite),
                              work.device.kind == "cpu" ? Reach::node : Reach::nodes};
  Door& door = *this;
  conductor_.emplace(std::move(settings), outlooks(work), work.shards, door);
  for (const auto& [shard, responses] : resumed.answers) {
    conductor_->restore_answered(ShardId{shard});
    scoreboard_.add(work.shards[shard], responses);
  }
  events_ = resumed.events;
  shapes_ = resumed.shapes;
  for (const auto& [shard, shape] : resumed.shapes) conductor_->restore_shape(ShardId{shard}, shape);
  for (const Shard& shard : work.shards) total_flops_ += shard.flops;
  std::string ledger;
  for (const std::string& row : resumed.ledger) ledger += row + "\n";
  if (std::filesystem::exists(directory.ledger()) || !ledger.empty())
    store_thread_.write(directory.ledger(), ledger);  // a crash may have torn its last line
  if (resumed.bad_rows)
    say("proctor: " + std::to_string(resumed.bad_rows) + " rows of " + directory.database().string() +
        " are damaged; what they held counts as not acknowledged and is computed again");
  if (!resumed.answers.empty())
    say("proctor: " + std::to_string(resumed.answers.size()) + " of " + std::to_string(work.shards.size()) +
        " shards are already answered");
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
               std::to_string(wanted) + " workers side by side on one node, and there are at most " +
               std::to_string(place) + "; start with --workers " + std::to_string(wanted) +
               ", or set its tensor_parallel to one of " + usable_sizes(work_.facts[m], place);
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
    body = decode_worker_report({reinterpret_cast<const char*>(report.frame.data()), report.frame.size()});
  } catch (const Error& error) {  // costs that worker and its shard, not the run
    warn("worker " + std::to_string(report.slot) + " sent a message that cannot be read (" + error.what() +
         "); it is killed");
    return kill({agent, report.slot});
  }
  if (const auto* answered = std::get_if<ShardAnswered>(&body)) tokens_ += answered->tokens;
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
  for (int rank = 1; rank < mpi_.size(); ++rank) mpi_.send(rank, encode(AgentOrder(OrchestratorBeat{})));
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
                        kOrphanDeadlines * work_.suite.deadlines.agent.count()};
  for (int rank = 0; rank < mpi_.size(); ++rank) send(AgentId{static_cast<std::uint32_t>(rank)}, order);
}

/// Every rank answers AgentLeft when its workers are gone; one that does not in time would hold MPI_Finalize for ever.
void Orchestrator::stop_agents(bool at_once) {
  if (std::exchange(agents_stopped_, true)) return;
  for (int rank = 0; rank < mpi_.size(); ++rank) send(AgentId{static_cast<std::uint32_t>(rank)}, LeaveNode{at_once});
  const Moment until = now() + kLeaveDeadline + Moment(2);
  const auto all_left = [&] { return local_agent_.left() && agents_left_ == mpi_.size() - 1 && mpi_.all_sent(); };
  while (!all_left() && now() < until) {
    mpi_.progress();
    while (const auto message = mpi_.receive())
      if (std::holds_alternative<AgentLeft>(decode_agent_report(message->second))) ++agents_left_;
    local_agent_.poll(1);
  }
  agents_gone_ = agents_left_ == mpi_.size() - 1;
}

int Orchestrator::run() {
  write_status("running", std::nullopt);
  const bool nothing_to_do = conductor_->unstored() == 0;
  if (!nothing_to_do) start_agents();
  int code = kDone;
  try {
    code = run_to_the_end(nothing_to_do);
  } catch (const LockLost& error) {  // the directory is another's: not a word into it
    view_.say(std::string("proctor: ") + error.what());
    code = kEnvironment;
  } catch (const StoreFailure& error) {
    code = stop_writing(error.what());
  } catch (const Error& error) {
    write_status("failed", exit_code(error.fault()));
    stop_agents(true);
    if (agents_gone_) throw;
    say(std::string("proctor: ") + error.what());  // MPI_Finalize would wait for them for ever
    flush_store();
    mpi_.abort(exit_code(error.fault()));
  }
  stop_agents(code == kStoppedEarly || code == kInterrupted);
  if (!agents_gone_ || !scoreboard_.idle()) mpi_.abort(code);  // neither they nor a long scoring is waited for
  return code;
}

int Orchestrator::run_to_the_end(bool nothing_to_do) {
  while (!nothing_to_do && !(conductor_->finished() && (conductor_->unstored() == 0 || !drain_reason_.empty()))) {
    step();
    if (!refused_.empty()) throw Error(refused_fault_, refused_);
    if (!all_agents_here() && now() > kHelloDeadline && !std::exchange(incomplete_, true))
      warn(std::to_string(mpi_.size() - static_cast<int>(hosts_.size())) + " of " + std::to_string(mpi_.size()) +
           " ranks have not said what they have; the run goes on without them");
    if (const auto stuck = all_agents_here() || incomplete_ ? conductor_->stuck(clock_.now()) : std::nullopt)
      throw EnvironmentError(*stuck + "; " + (events_.empty() ? "" : "last: " + events_.back()) +
                             "; the workers' logs are in " + directory_.logs().string());
    if (asked() == Asked::leave || asked() == Asked::interrupt) break;
    if (!drain_reason_.empty() && now() > drain_until_) break;
  }
  conductor_->abandon_silent();
  flush_store();
  on_durable();
  if (conductor_->unstored() == 0) stop_agents(false);  // scoring may take longer than they would wait for a word
  const int code = finish();
  flush_store();
  store_thread_.stop();
  (void)store_thread_.acknowledged();  // throws if the last files could not be written
  write_status_file(directory_.status(), status_text(state_of(code), code));
  report(code);
  return code;
}

/// Waits without falling silent: agents leave a rank 0 that says nothing for long. False past the limit.
bool Orchestrator::keep_company_until(const std::function<bool()>& done, Moment limit) {
  for (const Moment begin = now(); !done();) {
    if (now() > begin + (asked() == Asked::interrupt ? std::min(limit, kInterruptPatience) : limit)) return false;
    mpi_.progress();
    while (mpi_.receive()) {  // nothing that comes now can count any more
    }
    beat();
    local_agent_.poll(1);
  }
  return true;
}

void Orchestrator::flush_store() {
  const auto flushed = [this] { return store_thread_.flush(std::chrono::milliseconds(20)); };
  if (keep_company_until(flushed, kFlushDeadline)) return;
  view_.say(
      "proctor: the file system takes nothing; what was acknowledged is kept. The same command goes on from here");
  store_thread_.abandon();
  stop_agents(true);
  mpi_.abort(asked() == Asked::interrupt ? kInterrupted : kStoppedEarly);
}

/// The disk is full or fails: nothing more is taken, and nothing half is left.
int Orchestrator::stop_writing(const std::string& why) {
  store_thread_.stop();
  view_.say("proctor: " + why + "; what was acknowledged is kept. Make room and run the same command again");
  write_status_file(directory_.status(), status_text("stopped", kStoppedEarly));
  return kStoppedEarly;
}

const char* Orchestrator::state_of(int code) {
  return code == kStoppedEarly || code == kInterrupted ? "stopped" : "finished";
}

/// Scores and files; they are written when the store's thread has stopped.
int Orchestrator::finish() {
  const auto scored = [this] {
    scoreboard_.collect(false);
    return scoreboard_.idle();
  };
  keep_company_until(scored, kScoreDeadline);
  show_progress(true);
  int code = kDone;
  if (conductor_->unstored() > 0)
    code = asked() == Asked::interrupt ? kInterrupted : kStoppedEarly;
  else if (scoreboard_.failed_requests() > 0)
    code = kSomeFailed;
  if (!ledger_.empty() || !std::filesystem::exists(directory_.manifest()))
    store_thread_.write(directory_.manifest(), manifest_text(code));
  return code;
}

void Orchestrator::report(int code) const {
  std::cout << scoreboard_.tables() << "\n"
            << ledger_summary(ledger_) << (ledger_.empty() ? "" : ledger_table(ledger_));
  for (const std::string& failure : scoreboard_.failures()) std::cout << "failed: " << failure << "\n";
  std::cout << "files: " << directory_.root().string() << "/{results,samples,ledger.jsonl,manifest.json,logs}\n";
  if (code == kStoppedEarly || code == kInterrupted)
    std::cout << "stopped early (" << conductor_->unstored()
              << " shards are left); the same command goes on from here\n";
  std::cout << std::flush;
}

void Orchestrator::show_progress(bool force) {
  if (now() - last_status_ > kStatusPause) write_status("running", std::nullopt);
  if (!force && now() - last_view_ < kViewPause) return;
  last_view_ = now();
  std::vector<ProgressLine> lines;
  const double seconds = std::max(1e-3, now().count());
  double left = 0;
  for (std::size_t p = 0; p < work_.pairs.size(); ++p) left += scoreboard_.progress(p).flops_left;
  const double speed = (total_flops_ - left) / seconds;
  for (std::size_t p = 0; p < work_.pairs.size(); ++p) {
    const auto& progress = scoreboard_.progress(p);
    lines.push_back({work_.suite.modules[work_.pairs[p].module.value].name + " / " +
                         work_.suite.tasks[work_.pairs[p].task.value].name,
                     progress.done, progress.total, speed > 0 ? progress.flops_left / speed : 0});
  }
  view_.show(lines, conductor_->busy(), conductor_->slots(), static_cast<double>(tokens_) / seconds, now(), force);
}

void Orchestrator::write_status(const std::string& state, std::optional<int> code) {
  last_status_ = now();
  store_thread_.write_status(directory_.status(), status_text(state, code));
}

std::string Orchestrator::status_text(const std::string& state, std::optional<int> code) const {
  Json json = {{"state", state},
               {"exit_code", code ? Json(*code) : Json()},
               {"failed_requests", scoreboard_.failed_requests()},
               {"workers_busy", conductor_->busy()}};
  for (std::size_t p = 0; p < work_.pairs.size(); ++p)
    json["pairs"].push_back({{"module", work_.suite.modules[work_.pairs[p].module.value].name},
                             {"task", work_.suite.tasks[work_.pairs[p].task.value].name},
                             {"done", scoreboard_.progress(p).done},
                             {"total", scoreboard_.progress(p).total}});
  json["scores"] = scoreboard_.provisional();
  json["failures"] = scoreboard_.failures();
  return json.dump(2) + "\n";
}

std::string Orchestrator::manifest_text(int code) const {
  Json json;
  json["suite"] = work_.suite.name;
  json["exit_code"] = code;
  json["command_line"] = options_.command_line;
  json["device"] = nlohmann::json(work_.device);
  json["nodes"] = hosts_;
  for (const Pair& pair : work_.pairs)
    json["identity"][work_.suite.modules[pair.module.value].name][work_.suite.tasks[pair.task.value].name] =
        pair.identity;
  json["shards"] = work_.shards.size();
  json["tokens_computed"] = tokens_;
  json["seconds"] = now().count();
  json["utilisation"] =
      conductor_->slots() ? busy_seconds_ / (now().count() * static_cast<double>(conductor_->slots())) : 0;
  json["events"] = events_;
  for (const auto& [index, shape] : shapes_) {
    const Shard& shard = work_.shards[index];
    Json entry = {{"module", work_.suite.modules[shard.module.value].name},
                  {"task", work_.suite.tasks[shard.task.value].name},
                  {"shard", index},
                  {"halved", shape.level},
                  {"isolated_batches", shape.isolated},
                  {"set_aside_requests", Json::object()}};
    for (const auto& [request, why] : shape.aside)
      entry["set_aside_requests"][std::to_string(shard.requests[request])] = why;
    json["shards_not_run_as_planned"].push_back(std::move(entry));
  }
  return json.dump(2) + "\n";
}

}  // namespace proctor
