// The orchestrator from start to end: the run's loop, and its ways out. None of them waits without a deadline.
#include <utility>

#include "orchestrator/base/exit_code.h"
#include "orchestrator/base/signals.h"
#include "orchestrator/planning/calibration_file.h"
#include "orchestrator/run/orchestrator.h"

namespace proctor {
namespace {

constexpr Moment kLeaveDeadline{10}, kHelloDeadline{120}, kScoreDeadline{86400}, kInterruptPatience{2};
constexpr Moment kFlushDeadline{120};  // for the file system to take what is left to write

}  // namespace

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
  } catch (const std::exception& error) {
    const auto* known = dynamic_cast<const Error*>(&error);
    code = exit_code(known ? known->fault() : Fault::internal);
    write_status("failed", code);
    stop_agents(true);
    if (agents_gone_) throw;
    say(std::string("proctor: ") + error.what());  // MPI_Finalize would wait for them for ever
    flush_store();
    mpi_.abort(code);
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
  conductor_->drain();  // what becomes durable from here on frees nobody for more
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
bool Orchestrator::pump_until(const std::function<bool()>& done, Moment limit) {
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
  if (pump_until(flushed, kFlushDeadline)) return;
  view_.say(
      "proctor: the file system takes nothing; what was acknowledged is kept. The same command goes on from here");
  store_thread_.abandon();
  stop_agents(true);
  mpi_.abort(asked() == Asked::interrupt ? kInterrupted : kStoppedEarly);
}

/// The disk is full or fails: nothing more is taken, and nothing half is left.
int Orchestrator::stop_writing(const std::string& why) {
  store_thread_.stop();
  view_.say("proctor: " + why + kMakeRoom);
  write_status_file(directory_.status(), status_text("stopped", kStoppedEarly));
  return kStoppedEarly;
}

/// Scores and files; they are written when the store's thread has stopped.
int Orchestrator::finish() {
  const auto scored = [this] {
    scoreboard_.collect(false);
    return scoreboard_.idle();
  };
  pump_until(scored, kScoreDeadline);
  show_progress(true);
  int code = kDone;
  if (conductor_->unstored() > 0)
    code = asked() == Asked::interrupt ? kInterrupted : kStoppedEarly;
  else if (scoreboard_.failed_requests() > 0)
    code = kSomeFailed;
  if (!ledger_.empty() || !std::filesystem::exists(directory_.manifest()))
    store_thread_.write(directory_.manifest(), manifest_text(code));
  if (!ledger_.empty() && !learn_calibration(calibration_path(), work_.device.kind, measured_))
    log("what this run measured of its devices cannot be kept in " + calibration_path().string());
  return code;
}

}  // namespace proctor
