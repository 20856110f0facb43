#include "orchestrator/watch/outside_watch.h"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

namespace proctor {
namespace {

constexpr Moment kSamplePause{1}, kLookPause{0.05};
constexpr Moment kSettle{2};           // for a guest's processes to end by themselves; drivers free late
constexpr Moment kDeath{1};            // for a killed process to be gone
constexpr double kSampleShare = 0.05;  // of this thread's time, at most
constexpr int kSweepRounds = 20;
constexpr std::uint64_t kDeviceSlack = 2 << 20;  // bytes: a page of the largest kind

ProcessId id_of(pid_t pid) {
  const std::optional<Process> process = read_process(pid);
  return process ? process->id : ProcessId{pid, 0};
}

/// A number that no process has here is one of another pid space, or of a process that has just ended.
bool exists(pid_t pid) { return ::kill(pid, 0) == 0 || errno != ESRCH; }

void raise_to(std::optional<std::uint64_t>& peak, const std::optional<std::uint64_t>& value) {
  peak = peak && value ? std::optional(std::max(*peak, *value)) : std::nullopt;
}

}  // namespace

OutsideWatch::OutsideWatch(WatchedGuest guest, ProcessTable& processes, const DeviceLibrary& devices)
    : processes_(processes),
      library_(devices),
      devices_(devices.find(guest.visible_devices)),
      marks_{id_of(guest.pid), std::move(guest.slot), {}},
      shared_(guest.shared_folder),
      company_(guest.alone ? SharedMemory::Company::none : SharedMemory::Company::others) {}

std::vector<Process> OutsideWatch::look() {
  std::vector<Process> tree = find_tree(processes_, marks_);
  marks_.seen.clear();  // whoever is gone needs no mark
  for (const Process& process : tree) {
    marks_.seen.insert(process.id);
    pids_.insert(process.id.pid);
  }
  return tree;
}

OutsideWatch::DeviceBytes OutsideWatch::read_devices() {
  const DevicesUse use = library_.read(devices_);
  energy_now_j_ = use.energy_j;
  if (!use.bytes_of) return {std::nullopt, use.used_bytes};
  std::uint64_t bytes_of_tree = 0;
  for (const auto& [pid, bytes] : *use.bytes_of) {
    // One that was of the tree, and whose number nobody else has got: the driver has not freed its bytes yet.
    const auto owner = processes_.all().find(pid);
    const bool anothers =
        owner != processes_.all().end() && owner->second.alive && !marks_.seen.contains(owner->second.id);
    const bool ours = pids_.contains(pid) && !anothers;
    if (ours) bytes_of_tree += bytes;
    (ours ? tree_was_listed_ : exists(pid) ? others_were_listed_ : strangers_were_listed_) = true;
  }
  return {bytes_of_tree, use.used_bytes};
}

void OutsideWatch::note_peak(const TreeUse& use, const DeviceBytes& bytes) {
  measures_.pss_peak = std::max(measures_.pss_peak, use.pss_bytes);
  measures_.processes_peak = std::max(measures_.processes_peak, use.processes);
  raise_to(peak_.tree, bytes.tree);
  raise_to(peak_.all, bytes.all);
}

void OutsideWatch::open(Moment now) {
  processes_.walk();
  const std::vector<Process> tree = look();
  shared_.note(tree);
  if (visits_ == 0) {
    baseline_ = measure(tree);
    spared_ = marks_.seen;
  }
  begin();
  next_sample_ = now + kSamplePause;
}

/// Of a visit, or of the time between two, in which a guest may end.
void OutsideWatch::begin() {
  measures_ = {};
  measures_.warmed_up = visits_ > 0;
  measures_.pss_before = baseline_.pss_bytes;
  measures_.processes_before = baseline_.processes;
  measures_.threads_before = baseline_.threads;
  measures_.descriptors_before = baseline_.descriptors;
  before_ = peak_ = read_devices();
  energy_before_j_ = energy_now_j_;
  note_peak(baseline_, before_);
  state_ = State::watching;
}

void OutsideWatch::sample(Moment now) {
  if (is_closing() || now < next_sample_) return;
  const auto begun = std::chrono::steady_clock::now();
  processes_.walk_at(now);
  const std::vector<Process> tree = look();
  shared_.note(tree);
  note_peak(measure(tree), read_devices());
  const Moment took = std::chrono::steady_clock::now() - begun;
  next_sample_ = now + std::max(kSamplePause, took / kSampleShare);
}

void OutsideWatch::closing(Ending ending, Moment now) {
  state_ = State::settling;
  ending_ = ending;
  next_look_ = now;
  until_ = now + kSettle;
}

bool OutsideWatch::is_spared(const ProcessId& id, Ending ending) const {
  return ending == Ending::visit && (id == marks_.root || spared_.contains(id));
}

bool OutsideWatch::is_back(const std::vector<Process>& tree, const DeviceBytes& bytes) const {
  const bool by_tree = tells_apart();
  const auto before = by_tree ? before_.tree : before_.all, current = by_tree ? bytes.tree : bytes.all;
  return (!before || !current || *current <= *before + kDeviceSlack) &&
         std::ranges::all_of(tree, [&](const Process& process) { return is_spared(process.id, ending_); });
}

std::optional<OutsideMeasures> OutsideWatch::settle(Moment now) {
  if (!is_closing() || now < next_look_) return std::nullopt;
  next_look_ = now + kLookPause;
  if (state_ == State::settling) {
    processes_.walk();
    const std::vector<Process> tree = look();
    shared_.note(tree);
    const DeviceBytes bytes = read_devices();
    if (now < until_ && !is_back(tree, bytes)) return std::nullopt;
    measure_end(tree, bytes);
    state_ = State::ending;
    until_ = now + kDeath;
  }
  Swept swept = sweep(ending_);
  std::ranges::move(swept.killed, std::back_inserter(measures_.left));
  if (!swept.gone && now < until_) return std::nullopt;
  measures_.shared_left = shared_.remove_left(processes_, killed_, company_);
  if (!measures_.left.empty()) baseline_ = measure(look());
  spared_ = marks_.seen;
  ++visits_;
  OutsideMeasures measures = std::move(measures_);
  begin();
  return measures;
}

void OutsideWatch::measure_end(const std::vector<Process>& tree, const DeviceBytes& bytes) {
  baseline_ = measure(tree);
  note_peak(baseline_, bytes);
  after_ = bytes;
  measures_.pss_after = baseline_.pss_bytes;
  measures_.processes_after = baseline_.processes;
  measures_.threads_after = baseline_.threads;
  measures_.descriptors_after = baseline_.descriptors;
  if (energy_before_j_ && energy_now_j_ && *energy_now_j_ >= *energy_before_j_)
    measures_.energy_j = *energy_now_j_ - *energy_before_j_;
  take_device_bytes();
}

/// The driver's numbers are of this pid space if one of them was the tree's, or if some were others' here and none of
/// a stranger. Where it lists nobody it may hide them, so that is no sign.
bool OutsideWatch::tells_apart() const { return tree_was_listed_ || (others_were_listed_ && !strangers_were_listed_); }

void OutsideWatch::take_device_bytes() {
  measures_.device_of_tree = tells_apart() && before_.tree && peak_.tree && after_.tree;
  const auto bytes = [&](const DeviceBytes& of) { return measures_.device_of_tree ? of.tree : of.all; };
  measures_.device_before = bytes(before_);
  measures_.device_peak = bytes(peak_);
  measures_.device_after = bytes(after_);
}

OutsideWatch::Swept OutsideWatch::sweep(Ending ending) {
  Swept swept;
  bool found = true;
  for (int round = 0; found && round < kSweepRounds; ++round) {
    found = false;
    processes_.walk();
    swept.gone = true;
    for (const Process& process : look()) {
      if (is_spared(process.id, ending)) continue;
      swept.gone = false;
      if (killed_.contains(process.id) || !kill_process(process.id)) continue;
      found = true;
      killed_.insert(process.id);
      if (process.id != marks_.root) swept.killed.push_back(text_of(process));
    }
  }
  return swept;
}

}  // namespace proctor
