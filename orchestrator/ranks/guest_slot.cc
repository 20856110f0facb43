#include "orchestrator/ranks/guest_slot.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "orchestrator/base/spawn.h"
#include "orchestrator/watch/strays.h"
#include "sharding/protocol/error.h"

extern char** environ;

namespace proctor {
namespace {

constexpr int kKeeperRounds = 100;  // of killing and looking again
constexpr int kKeeperPauseMs = 50;  // between them

/// How the temporary folders of an agent's guests begin.
std::string temporary_name(const std::string& agent) { return "proctor-" + agent; }

/// Of this process, and of no other that had its number.
std::string name_of_this_agent() {
  const auto process = read_process(getpid());
  return std::to_string(getpid()) + "-" + std::to_string(process ? process->id.started : 0);
}

}  // namespace

GuestHouse::GuestHouse(const std::filesystem::path& proctor) : name_(name_of_this_agent()) {
  (void)become_subreaper();  // without it orphans are found by their environment
  std::error_code none;
  std::array<int, 2> ends{};
  if (!std::filesystem::exists(proctor, none) || pipe2(ends.data(), O_CLOEXEC) != 0) return;
  const Descriptor in(ends[0]);
  keepers_end_ = Descriptor(ends[1]);
  FileActions files;
  files.copy(in.value(), 0);
  try {
    keeper_ = spawn({proctor.string(), kKeepGuests, name_}, own_environment(), files, SignalsOfChild::held);
  } catch (const Error&) {
    keepers_end_ = Descriptor(-1);
  }
}

GuestHouse::~GuestHouse() {
  if (keeper_ <= 0) return;
  ::kill(keeper_, SIGKILL);
  int status = 0;
  waitpid(keeper_, &status, 0);
}

std::filesystem::path GuestHouse::make_temporary(std::uint32_t slot, std::uint32_t incarnation) const {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() /
      (temporary_name(name_) + "-" + std::to_string(slot) + "-" + std::to_string(incarnation));
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  return folder;
}

std::string GuestHouse::slot_name(std::uint32_t slot, std::uint32_t incarnation) const {
  return name_ + "/" + std::to_string(slot) + "/" + std::to_string(incarnation);
}

bool GuestHouse::others_have_guests() {
  processes.walk();
  return std::ranges::any_of(processes.all(), [&](const auto& entry) {
    const auto& slot = entry.second.slot;
    return slot && !slot->empty() && !slot->starts_with(name_ + "/");
  });
}

int keep_guests(const std::string& name) {
  setsid();  // a terminal's Ctrl-C, a launcher's signal to the group: not for the keeper
  char byte = 0;
  while (::read(0, &byte, 1) > 0 || errno == EINTR) errno = 0;
  ProcessTable processes;
  for (int round = 0; round < kKeeperRounds; ++round) {
    processes.walk();
    bool found = false;
    for (const auto& [pid, process] : processes.all()) {
      if (!process.slot || !process.slot->starts_with(name + "/")) continue;
      for (const Process& one : find_tree(processes, {process.id, *process.slot, {}}))
        found = kill_process(one.id) || found;
    }
    if (!found) break;
    ::poll(nullptr, 0, kKeeperPauseMs);
  }
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::temp_directory_path(ignored), ignored))
    if (entry.path().filename().string().starts_with(temporary_name(name) + "-"))
      std::filesystem::remove_all(entry.path(), ignored);
  return 0;
}

GuestSlot::GuestSlot(GuestHouse& house, WatchedGuest guest, std::filesystem::path temporary)
    : watch_(std::move(guest), house.processes, house.devices), temporary_(std::move(temporary)) {}

GuestSlot::~GuestSlot() {
  (void)watch_.sweep(OutsideWatch::Ending::guest);
  std::error_code ignored;
  std::filesystem::remove_all(temporary_, ignored);
}

void GuestSlot::on_order(const std::string& frame, Moment now) {
  const auto visit = opened_by(frame);
  if (!visit) return;
  visit_ = *visit;
  watch_.open(now);
}

bool GuestSlot::keeps(const FromWorker& report, Moment now) {
  try {
    if (!closed_by(report.frame)) return false;
  } catch (const Error&) {
    return false;  // unreadable: whoever decodes it says so
  }
  closed_ = report;
  watch_.closing(OutsideWatch::Ending::visit, now);
  return true;
}

void GuestSlot::on_ended(WorkerExited exited, Moment now) {
  exited_ = std::move(exited);
  watch_.closing(OutsideWatch::Ending::guest, now);
}

std::optional<WorkerExited> GuestSlot::poll(Moment now, std::uint32_t slot, std::uint32_t incarnation,
                                            const std::function<void(AgentReport)>& report) {
  if (!watch_.is_closing()) {
    watch_.sample(now);
    return std::nullopt;
  }
  const auto measures = watch_.settle(now);
  if (!measures) return std::nullopt;
  report(Measured{slot, incarnation, visit_, *measures});
  if (closed_) report(*std::exchange(closed_, std::nullopt));
  return std::exchange(exited_, std::nullopt);
}

}  // namespace proctor
