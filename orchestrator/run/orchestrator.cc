#include "orchestrator/run/orchestrator.h"

#include <algorithm>
#include <span>
#include <utility>

#include "orchestrator/base/exit_code.h"
#include "orchestrator/base/machine.h"
#include "orchestrator/planning/calibration_file.h"
#include "orchestrator/planning/message_size.h"
#include "sharding/planning/tensor_parallel.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

constexpr double kOrphanDeadlines = 10;  // times the agent deadline, before an agent leaves a silent rank 0
constexpr Moment kHelloDeadline{120}, kScoreDeadline{86400}, kInterruptPatience{2}, kSilentScoring{2};
constexpr Moment kFlushDeadline{120};  // for the file system to take what is left to write

std::uint64_t bytes_per_worker(const Work& work) {
  std::uint64_t largest = 0;
  for (std::size_t m = 0; m < work.facts.size(); ++m)
    largest = std::max(largest, work.facts[m].parameters * 4 / work.suite.modules[m].tensor_parallel);
  return largest + largest / 2 + (512u << 20);
}

Configure configuration(const Work& work, const RunOptions& options, const RunDirectory& directory) {
  std::vector<std::string> paths;
  for (const Module& module : work.suite.modules) paths.push_back(module.path);
  return {options.device,
          options.workers.value_or(work.suite.machine.workers.value_or(0)),
          work.suite.machine.cpu_threads,
          options.memory_limit_bytes,
          bytes_per_worker(work),
          std::filesystem::absolute(directory.logs()).string(),
          kOrphanDeadlines * work.suite.deadlines.agent.count(),
          work.suite.deadlines.load.count(),
          std::move(paths),
          work.guests};
}

Conductor::Options conductor_options(const Work& work, std::uint32_t next_visit, std::uint32_t agents) {
  Conductor::Options options{work.suite.deadlines,
                             work.suite.cleanup.leak_tolerance_bytes,
                             VisitId{next_visit},
                             {},
                             work.device.kind == "cpu" ? Reach::node : Reach::nodes,
                             agents};
  for (const Module& module : work.suite.modules) options.module_names.push_back(module.name);
  return options;
}

EarlierStarts earlier_starts(const Work& work, const Resumed& resumed) {
  EarlierStarts earlier{resumed.seconds, resumed.events, resumed.ledger, resumed.overrides,
                        std::vector<bool>(work.shards.size(), false)};
  for (const auto& [shard, responses] : resumed.answers) earlier.answered[shard] = true;
  return earlier;
}

}  // namespace

Orchestrator::Orchestrator(Work& work, const RunOptions& options, const RunDirectory& directory, RunStore& store,
                           RunLock* lock, Surroundings surroundings, Resumed resumed)
    : work_(work),
      options_(options),
      directory_(directory),
      surroundings_(std::move(surroundings)),
      agents_(surroundings_.transport, work.device, surroundings_.now),
      store_thread_(store, lock),
      scoreboard_(work, directory, options.limit,
                  [this](const auto& path, std::string content) { store_thread_.write(path, std::move(content)); }),
      forecast_(work, predictor_of(work, read_calibration(surroundings_.learned, work.device.kind))),
      chain_(work, surroundings_.interpreters, resumed.chosen),
      report_(work, {options.progress, options.command_line, options.quiet, options.gpu_hour}, directory, store_thread_,
              scoreboard_, forecast_, earlier_starts(work, resumed), surroundings_.terminal, surroundings_.now),
      conductor_(conductor_options(work, resumed.next_visit, agents_.count()), forecast_.outlooks(), work.shards,
                 *this),
      later_(std::move(resumed.later)),
      later_overrides_(std::move(resumed.later_overrides)) {
  report_.log("# started by host " + host_name() + ", pid " + std::to_string(getpid()));
  for (auto& [shard, responses] : resumed.answers) {
    conductor_.restore_answered(ShardId{shard});
    count(ShardId{shard}, std::move(responses));
  }
  for (const auto& [shard, overrides] : resumed.overrides) conductor_.restore_overrides(ShardId{shard}, overrides);
  if (resumed.bad_rows)
    report_.say("proctor: " + directory.database().string() + ": " + counted(resumed.bad_rows, "damaged row") +
                "; what was there counts as not acknowledged and is computed again");
  for (std::uint32_t s = 0; s < work.shards.size(); ++s)
    if (is_computed_here(ShardId{s}) && !resumed.answers.contains(s)) compute_here(ShardId{s});
  plan_what_is_ready();
  expect_more();
  if (!resumed.answers.empty())
    report_.say("proctor: already answered: " + std::to_string(resumed.answers.size()) + " of " +
                counted(work.shards.size(), "shard"));
}

// ---- commands of the conductor

void Orchestrator::start(SlotId slot, std::uint32_t incarnation, Occupant occupant) {
  if (!occupant.is_guest()) report_.worker_started(slot);
  agents_.send(slot.agent, StartWorker{slot.slot, incarnation, occupant});
}

void Orchestrator::open(std::span<const SlotId> members, VisitId visit, ModuleId module) {
  store_thread_.put({StoreRow::Table::record, "meta", "last_visit", std::to_string(visit.value), std::nullopt});
  report_.visit_opened(visit, module);
  const auto size = static_cast<std::uint32_t>(members.size());
  if (size > 1 && work_.device.kind == "cpu") {
    ShareMemory memory{visit, {}};
    for (SlotId member : members) memory.slots.push_back(member.slot);
    agents_.send(members[0].agent, memory);
  }
  for (std::uint32_t rank = 0; rank < size; ++rank)
    agents_.to_workers(
        members.subspan(rank, 1),
        OpenVisit{visit, work_.suite.modules[module.value], rank, size, work_.max_batch_tokens[module.value],
                  work_.suite.cleanup, work_.suite.deadlines, work_.facts[module.value].folder_hash});
}

std::vector<Request> Orchestrator::requests_of(ShardId id) const {
  const Shard& shard = work_.shards[id.value];
  std::vector<Request> requests;
  requests.reserve(shard.requests.size());
  const std::vector<Request>& all = work_.requests_of(shard.module, shard.task).requests;
  for (std::uint32_t r : shard.requests) requests.push_back(all[r]);
  return requests;
}

/// What a shard's task changes of its module's.
const ImageOptions& Orchestrator::image_of(ShardId id) const {
  return work_.suite.tasks[work_.shards[id.value].task.value].image;
}

/// The requests of a shard that went along with the one before it are not sent again.
void Orchestrator::assign(std::span<const SlotId> members, const Assignment& assignment) {
  report_.assigned(assignment, members.front());
  store_thread_.put({StoreRow::Table::log, "attempt", work_.shard_hashes[assignment.shard.value],
                     std::to_string(assignment.visit.value) + " " + std::to_string(assignment.attempt), std::nullopt});
  const ShardOverrides& overrides = assignment.overrides;
  const std::uint32_t module = work_.shards[assignment.shard.value].module.value;
  RunShard order;
  order.visit = assignment.visit;
  order.shard = assignment.shard;
  order.attempt = assignment.attempt;
  order.max_batch_tokens = std::max<std::int64_t>(1, work_.max_batch_tokens[module] >> overrides.level);
  order.isolated = {overrides.isolated.begin(), overrides.isolated.end()};
  for (const auto& [request, why] : overrides.excluded) order.set_aside.push_back(request);
  order.unit_s = assignment.unit.count();
  std::optional<ShardId>& ahead = sent_ahead_[assignment.visit];
  if (ahead != assignment.shard) order.requests = requests_of(assignment.shard);
  ahead.reset();
  order.image = image_of(assignment.shard);
  const bool guest = work_.occupant_of(module).is_guest();  // guests get one shard at a time
  if (assignment.next && !guest)
    order.next = requests_of(*assignment.next), order.next_image = image_of(*assignment.next);
  if (!guest && message_bytes(order.requests) + message_bytes(order.next) <= kMostMessageBytes)
    ahead = order.next_shard = assignment.next;
  else
    order.next.clear();
  agents_.to_workers(members, order);
}

void Orchestrator::store(ShardId shard, std::vector<Response> responses) {
  const Shard& asked = work_.shards[shard.value];
  const std::vector<Request>& all = work_.requests_of(asked.module, asked.task).requests;
  for (std::size_t i = 0; i < responses.size(); ++i) {
    const Ask& ask = all[asked.requests[i]].ask;
    if (responses[i].error.empty() && !answers(responses[i].answer, ask))
      responses[i] = {{}, std::string("the worker did not answer what was asked (") + to_string(type_of(ask)) + ")"};
  }
  store_thread_.put(
      {StoreRow::Table::log, "answer", work_.shard_hashes[shard.value], encode_responses(responses), shard});
  unstored_[shard] = std::move(responses);
}

void Orchestrator::give_up(ShardId shard, std::vector<Response> responses) {
  unstored_[shard] = std::move(responses);
  given_up_.push_back(shard);
}

void Orchestrator::store_overrides(ShardId shard, const ShardOverrides& overrides) {
  report_.overridden(shard, overrides);
  store_thread_.put(
      {StoreRow::Table::record, "shape", work_.shard_hashes[shard.value], encode_overrides(overrides), std::nullopt});
}

void Orchestrator::record(const LedgerEntry& entry) {
  sent_ahead_.erase(entry.visit);
  report_.closed(entry);
}

void Orchestrator::lost(const std::string& event) {
  warn(event);
  if (surroundings_.notices) surroundings_.notices->tell({"slot_lost", event});
}

// ---- reports

void Orchestrator::on(AgentId agent, const AgentHello& hello) {
  agents_.on_hello(hello);
  for (const auto& [module, why] : hello.lacking) {
    conductor_.on_lacking(agent, module, why);
    if (has_work(module))
      warn("node " + hello.host + " has not got module " + work_.suite.modules.at(module.value).name +
           " and is not asked for it: " + why);
  }
  conductor_.on_agent(agent, hello.host, hello.slots, clock_.now());
  if (agents_.all_here()) refuse_gangs_without_a_place();
}

/// Once every agent has said how many workers it has.
void Orchestrator::refuse_gangs_without_a_place() const {
  for (std::size_t m = 0; m < work_.suite.modules.size(); ++m) {
    const Module& module = work_.suite.modules[m];
    const std::uint32_t wanted = module.tensor_parallel, place = conductor_.widest_place(wanted);
    if (place == wanted || !has_work(ModuleId{static_cast<std::uint32_t>(m)})) continue;
    throw EnvironmentError("module " + module.name + ": tensor_parallel " + std::to_string(wanted) + " needs " +
                           counted(wanted, "worker") + " side by side on one node, and there are at most " +
                           std::to_string(place) + "; start with --workers " + std::to_string(wanted) +
                           ", or set its tensor_parallel to one of " + usable_sizes(work_.facts[m], place));
  }
}

void Orchestrator::on(AgentId, const AgentFailed& failure) {
  const std::string why = "node " + failure.host + ": " + failure.message;
  if (failure.disk) throw StoreFailure(why);
  throw Error(fault_from(failure.fault), why);
}

void Orchestrator::on(AgentId agent, FromWorker& report) {
  const SlotId worker{agent, report.slot};
  WorkerReport body;
  try {
    body = decode_worker_report(report.frame);
  } catch (const Error& error) {  // costs that worker and its shard, not the run
    return conductor_.on_unreadable(worker, report.incarnation, error.what(), clock_.now());
  }
  report_.reported(worker, body);
  conductor_.on_report(worker, report.incarnation, std::move(body), clock_.now());
}

void Orchestrator::on(AgentId agent, const WorkerExited& exit) {
  conductor_.on_exit({agent, exit.slot}, exit.incarnation, exit.by, exit.how, clock_.now());
}

void Orchestrator::on(AgentId agent, const Measured& measured) {
  conductor_.on_measured({agent, measured.slot}, measured.incarnation, measured.visit, measured.measures);
}

void Orchestrator::on(AgentId agent, Heartbeat& beat) {
  conductor_.on_heard(agent, clock_.now());
  for (FromWorker& progress : beat.progress) on(agent, progress);
}

void Orchestrator::on(AgentId, const DrainAsked& asked) { drain("signal " + std::to_string(asked.signal)); }

void Orchestrator::drain(const std::string& why) {
  if (!drain_reason_.empty()) return;
  drain_reason_ = why;
  drain_until_ = now() + work_.suite.deadlines.drain;
  report_.say("proctor: " + why + ": no new shards; running ones finish within " +
              duration_text(work_.suite.deadlines.drain.count()));
  conductor_.drain();
  conductor_.on_tick(clock_.now());
}

// ---- the loop

void Orchestrator::on_durable() {
  std::vector<ShardId> countable = store_thread_.acknowledged();
  countable.insert(countable.end(), given_up_.begin(), given_up_.end());
  given_up_.clear();
  for (ShardId shard : countable) {
    auto answered = unstored_.extract(shard);
    count(shard, std::move(answered.mapped()));
    if (here_.erase(shard) == 0) conductor_.on_stored(shard, clock_.now());
  }
  if (!chain_.done()) plan_what_is_ready();
}

void Orchestrator::step() {
  clock_.tick(now());
  for (Transport::Received& one : agents_.receive()) std::visit([&](auto& body) { on(one.agent, body); }, one.report);
  take_what_was_computed_here();
  on_durable();
  conductor_.on_tick(clock_.now());
  scoreboard_.collect(false);
  report_.show_progress(standing(), false);
  if (surroundings_.asked() == Asked::drain) drain("signal " + std::to_string(last_signal()));
}

/// Throws EnvironmentError where nothing can go on.
bool Orchestrator::goes_on() {
  if (conductor_.finished() && (all_answered() || !drain_reason_.empty())) return false;
  if (!agents_.all_here() && now() > kHelloDeadline && !std::exchange(incomplete_, true)) {
    conductor_.go_on_without_the_missing();
    warn(std::to_string(agents_.count() - agents_.hosts().size()) + " of " + std::to_string(agents_.count()) +
         " ranks have not said what they have; the run goes on without them");
  }
  if (const auto stuck = agents_.all_here() || incomplete_ ? conductor_.stuck(clock_.now()) : std::nullopt)
    throw EnvironmentError(*stuck + "; " + (report_.events().empty() ? "" : "last: " + report_.events().back()) +
                           "; the workers' logs are in " + directory_.logs().string());
  const Asked asked = surroundings_.asked();
  if (asked == Asked::leave || asked == Asked::interrupt) return false;
  return drain_reason_.empty() || now() <= drain_until_;
}

int Orchestrator::run_to_the_end() {
  if (!all_answered())
    for (agents_.start(configuration(work_, options_, directory_)); goes_on();) step();
  conductor_.drain();  // what becomes durable from here on frees nobody for more
  conductor_.abandon_silent();
  flush_store();
  on_durable();
  if (all_answered()) {
    report_.log("the last answer is stored");
    agents_.stop(false);  // scoring may take longer than they would wait for a word
  }
  const int code = finish();
  flush_store();
  store_thread_.stop();
  (void)store_thread_.acknowledged();  // throws if the last files could not be written
  report_.write_last_status(RunReport::state_of(code), code, standing());
  report_.print(code, standing(), surroundings_.results);
  return code;
}

int Orchestrator::run() {
  report_.write_status("running", std::nullopt, standing());
  int code = kDone;
  try {
    code = run_to_the_end();
  } catch (const LockLost& error) {  // the directory is another's: not a word into it
    code = kEnvironment;
    report_.say_only(error_line(options_.errors, error.what(), code));
    tell_end(code, error.what());
  } catch (const StoreFailure& error) {
    code = stop_writing(error.what());
    tell_end(code, error.what());
  } catch (const std::exception& error) {
    fail(error);
    throw;
  }
  agents_.stop(code == kStoppedEarly || code == kInterrupted);
  tell_end(code, report_.end_text(code, standing()));
  if (!agents_.gone() || !scoreboard_.idle()) agents_.abort(code);  // neither they nor a long scoring is waited for
  return code;
}

// ---- its ways out

/// Waits without falling silent: agents leave a rank 0 that says nothing for long. False past the limit.
bool Orchestrator::pump_until(const std::function<bool()>& done, Moment limit) {
  for (const Moment begin = now(); !done();) {
    const bool hurry = surroundings_.asked() == Asked::interrupt;
    if (now() > begin + (hurry ? std::min(limit, kInterruptPatience) : limit)) return false;
    (void)agents_.receive();  // nothing that comes now can count any more
  }
  return true;
}

void Orchestrator::flush_store() {
  const auto flushed = [this] { return store_thread_.flush(std::chrono::milliseconds(20)); };
  if (pump_until(flushed, kFlushDeadline)) return;
  const int code = surroundings_.asked() == Asked::interrupt ? kInterrupted : kStoppedEarly;
  const std::string why =
      "the file system takes nothing; what was acknowledged is kept. The same command goes on from here";
  report_.say_only(error_line(options_.errors, why, code));
  tell_end(code, why);
  store_thread_.abandon();
  agents_.stop(true);
  agents_.abort(code);
}

/// Scores and files; they are written when the store's thread has stopped.
int Orchestrator::finish() {
  bool told = false, logged = false;
  const auto scored = [&, begin = now()] {
    scoreboard_.collect(false);
    if (scoreboard_.has_all_results() && !std::exchange(logged, true)) report_.log("every module has its results");
    const bool long_wait = !scoreboard_.idle() && now() - begin > kSilentScoring;
    if (long_wait && !std::exchange(told, true)) report_.tell_what_is_scored();
    return scoreboard_.idle();
  };
  pump_until(scored, kScoreDeadline);
  report_.log("everything is scored");
  report_.show_progress(standing(), true);
  int code = kDone;
  if (!all_answered())
    code = surroundings_.asked() == Asked::interrupt ? kInterrupted : kStoppedEarly;
  else if (scoreboard_.failed_requests() > 0 || !scoreboard_.failures().empty())
    code = kSomeFailed;
  if (report_.has_ledger() || !std::filesystem::exists(directory_.manifest()))
    store_thread_.write(directory_.manifest(), report_.manifest(code, standing(), agents_.hosts(), agents_.workers()));
  if (report_.has_ledger() && !learn_calibration(surroundings_.learned, work_.device.kind, report_.measured()))
    report_.log("what this run measured of its devices cannot be kept in " + surroundings_.learned.string());
  return code;
}

/// The disk is full or fails: nothing more is taken, and nothing half is left.
int Orchestrator::stop_writing(const std::string& why) {
  store_thread_.stop();
  report_.say_only(error_line(options_.errors, why + kMakeRoom, kStoppedEarly));
  report_.write_last_status("stopped", kStoppedEarly, standing());
  return kStoppedEarly;
}

/// The error is told by the caller, unless an agent that does not leave would keep it from that.
void Orchestrator::fail(const std::exception& error) {
  const auto* known = dynamic_cast<const Error*>(&error);
  const int code = exit_code(known ? known->fault() : Fault::internal);
  report_.write_status("failed", code, standing());
  agents_.stop(true);
  tell_end(code, error.what());
  if (agents_.gone()) return;
  report_.log(std::string("proctor: ") + error.what());
  report_.say_only(error_line(options_.errors, error.what(), code));
  flush_store();
  agents_.abort(code);
}

void Orchestrator::tell_end(int code, const std::string& message) {
  if (surroundings_.notices) surroundings_.notices->tell_end(code, message);
}

}  // namespace proctor
