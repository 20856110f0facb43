#include "orchestrator/ranks/agent.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "orchestrator/base/machine.h"
#include "orchestrator/ranks/launcher.h"
#include "orchestrator/store/run_directory.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/facts_json.h"
#include "sharding/protocol/gang_memory.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

/// As many workers as cores and 90 % of memory allow, at least 1.
std::uint32_t fitting_workers(const Configure& configuration) {
  const std::uint32_t by_cores = usable_cores() / std::max(1u, configuration.cpu_threads);
  const std::uint64_t each = std::max<std::uint64_t>(1, configuration.bytes_per_worker);
  const auto by_memory =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(1024, usable_memory_bytes() / 10 * 9 / each));
  return std::max(1u, std::min(by_cores, by_memory));
}

DeviceFacts probe(const std::string& worker_binary, const Configure& order) {
  const CommandResult probe =
      ask_command({worker_binary, "probe", "--device", order.device}, std::chrono::duration<double>(order.probe_s));
  if (probe.status != 0) throw EnvironmentError(probe.error.empty() ? worker_binary + " probe failed" : probe.error);
  return nlohmann::json::parse(probe.output).get<DeviceFacts>();
}

/// More threads than that on a core are a slip; some more than cores may be asked for, for their last digits.
void refuse_many_threads(const Configure& order) {
  constexpr std::uint32_t kMostOfACore = 8;
  const std::uint32_t cores = usable_cores();
  if (order.cpu_threads > kMostOfACore * cores)
    throw UsageError("machine.cpu_threads is " + std::to_string(order.cpu_threads) + ", and " + host_name() + " has " +
                     counted(cores, "core") + " to use; at most " + std::to_string(kMostOfACore) + " threads a core");
}

std::vector<LackingModule> lacking(const std::vector<std::string>& paths) {
  std::vector<LackingModule> all;
  for (std::uint32_t m = 0; m < paths.size(); ++m) {
    if (paths[m].empty()) continue;
    std::error_code error;
    const bool there = std::filesystem::exists(paths[m], error);
    const bool empty =
        there && std::filesystem::is_directory(paths[m], error) && std::filesystem::is_empty(paths[m], error);
    if (there && !empty) continue;
    const std::string why = error ? error.message() : empty ? "is an empty folder" : "is not there";
    all.push_back({ModuleId{m}, paths[m] + ": " + why});
  }
  return all;
}

}  // namespace

Agent::Agent(std::string worker_binary, NodePlace place, std::function<void(AgentReport)> report,
             std::optional<DeviceFacts> known)
    : worker_binary_(std::move(worker_binary)),
      place_(place),
      report_(std::move(report)),
      known_(std::move(known)),
      out_of_memory_kills_(out_of_memory_kills()) {
  if (under_launcher()) widen_affinity();
}

void Agent::handle(const AgentOrder& order) {
  std::visit([this](const auto& body) { on(body); }, order);
}

void Agent::on(const Configure& order) {
  configuration_ = order;
  try {
    refuse_many_threads(order);
    if (place_.ranks > 1 && order.workers == 0)
      throw UsageError(host_name() + " has " + counted(place_.ranks, "rank") + kNoAutomaticWorkers);
    facts_ = known_ ? *known_ : probe(worker_binary_, order);
    std::uint32_t workers = order.workers;
    if (workers == 0) workers = facts_.kind == "cpu" ? fitting_workers(order) : facts_.count;
    if (facts_.kind != "cpu" && (place_.rank + 1) * workers > facts_.count)
      throw UsageError(counted(workers, "worker") + " for rank " + std::to_string(place_.rank) +
                       " of this node, which has " + counted(facts_.count, "device") +
                       "; there is one worker per device");
    workers_ = workers;
    report_(AgentHello{host_name(), workers, facts_, lacking(order.module_paths)});
  } catch (const Error& error) {
    report_(AgentFailed{host_name(), to_string(error.fault()), error.what()});
  } catch (const nlohmann::json::exception& error) {
    report_(AgentFailed{host_name(), to_string(Fault::internal), std::string("proctor-worker probe: ") + error.what()});
  }
}

void Agent::on(const StartWorker& order) {
  if (slots_.contains(order.slot))
    waiting_[order.slot] = order;
  else
    start(order);
}

void Agent::start(const StartWorker& order) {
  out_of_memory_kills_ = out_of_memory_kills();
  try {
    const WorkerCommand command = command_of(order);
    append_file(command.log_file, "");  // a full disk is no failure of the worker or its device
    Slot slot;
    slot.process = std::make_unique<WorkerProcess>(command);
    if (order.occupant.is_guest()) slot.guest = watch_guest(order, command, slot.process->pid());
    slot.log_file = command.log_file;
    slot.incarnation = order.incarnation;
    slots_.emplace(order.slot, std::move(slot));
  } catch (const StoreFailure& error) {
    report_(AgentFailed{host_name(), to_string(error.fault()), error.what(), true});
  } catch (const Error& error) {
    report_(WorkerExited{order.slot, order.incarnation, EndedBy::itself, error.what()});
  }
}

void Agent::on(const KillWorker& order) {
  waiting_.erase(order.slot);
  const auto slot = slots_.find(order.slot);
  if (slot == slots_.end()) return;
  slot->second.ordered_to_end = true;
  slot->second.process->kill();
}

void Agent::on(const ToWorkers& order) {
  for (const std::uint32_t number : order.slots)
    if (const auto slot = slots_.find(number); slot != slots_.end()) {  // else it died; its exit is on the way up
      if (slot->second.guest) slot->second.guest->on_order(order.frame, monotonic());
      (void)slot->second.process->channel().post(order.frame);
    }
}

/// A memory file without a name: the kernel frees it with the last member that maps it. Without one (no memory) the
/// members fail to open, and say so.
void Agent::on(const ShareMemory& order) {
  const Descriptor memory(::memfd_create("proctor-gang", MFD_CLOEXEC));
  const auto bytes = gang_memory_bytes(static_cast<std::uint32_t>(order.slots.size()));
  if (memory.value() < 0 || ::ftruncate(memory.value(), static_cast<off_t>(bytes)) != 0) return;
  for (std::uint32_t number : order.slots)
    if (const auto slot = slots_.find(number); slot != slots_.end())
      (void)slot->second.process->channel().post(encode(WorkerOrder(GangMemory{order.visit})), memory.value());
}

void Agent::on(const LeaveNode& order) {
  leaving_ = true;
  waiting_.clear();
  for (auto& [number, slot] : slots_) {
    slot.ordered_to_end = true;
    if (order.at_once || !slot.process->channel().post(encode(WorkerOrder(Leave{})))) slot.process->kill();
  }
}

void Agent::poll(int timeout_ms) {
  std::vector<pollfd> descriptors;
  std::vector<std::uint32_t> numbers;
  for (auto& [number, slot] : slots_) {
    if (slot.stream_ended) continue;
    const short writes = slot.process->channel().has_unsent() ? POLLOUT : 0;
    descriptors.push_back({slot.process->channel().descriptor(), static_cast<short>(POLLIN | writes), 0});
    numbers.push_back(number);
  }
  ::poll(descriptors.data(), descriptors.size(), timeout_ms);
  for (std::size_t i = 0; i < descriptors.size(); ++i)
    if (descriptors[i].revents) relay(numbers[i], slots_.at(numbers[i]));
  reap();
  look_at_guests();
}

void Agent::relay(std::uint32_t number, Slot& slot) {
  Channel& channel = slot.process->channel();
  (void)channel.flush();
  bool open = channel.fill();
  try {
    while (const auto frame = channel.take()) pass_on(number, slot, *frame);
  } catch (const Error& error) {  // a wild length: nothing on this stream can be read any more
    open = false;
    slot.unreadable = error.what();
  }
  if (open) return;
  slot.stream_ended = true;
  if (!slot.ordered_to_end) slot.process->kill();  // a worker without its socket is of no use; waitpid says how it went
}

void Agent::pass_on(std::uint32_t number, Slot& slot, const std::string& frame) {
  if (is_progress(frame) && std::exchange(slot.announced, true)) {
    slot.held_progress = FromWorker{number, slot.incarnation, frame};
    return;
  }
  report_held(slot);
  FromWorker report{number, slot.incarnation, frame};
  if (!slot.guest || !slot.guest->keeps(report, monotonic())) report_(std::move(report));
}

void Agent::report_held(Slot& slot) {
  if (const auto held = std::exchange(slot.held_progress, std::nullopt)) report_(*held);
}

std::vector<FromWorker> Agent::take_progress() {
  std::vector<FromWorker> progress;
  for (auto& [number, slot] : slots_) {
    slot.announced = false;
    if (auto held = std::exchange(slot.held_progress, std::nullopt)) progress.push_back(std::move(*held));
  }
  return progress;
}

/// SIGKILL is nobody's own doing, unless the kernel sent it for want of memory since the last worker was started.
EndedBy Agent::ended_by(const Slot& slot) {
  if (slot.ordered_to_end) return EndedBy::order;
  const bool out_of_memory = out_of_memory_kills() > out_of_memory_kills_;
  return slot.process->signal() == SIGKILL && slot.unreadable.empty() && !out_of_memory ? EndedBy::outside
                                                                                        : EndedBy::itself;
}

void Agent::reap() {
  for (auto next = slots_.begin(); next != slots_.end();) {
    const auto it = next++;
    Slot& slot = it->second;
    if (slot.guest && slot.guest->has_ended()) continue;
    const auto how = slot.process->ended();
    if (!how) continue;
    if (!slot.stream_ended) relay(it->first, slot);
    slot.stream_ended = true;
    report_held(slot);
    const WorkerExited exited{
        it->first, slot.incarnation, ended_by(slot),
        slot.unreadable.empty() ? with_last_words(*how, slot) : *how + " (it sent " + slot.unreadable + ")"};
    if (slot.guest)
      slot.guest->on_ended(exited, monotonic());  // what descends from it comes first
    else
      over(it, exited);
  }
}

void Agent::over(std::map<std::uint32_t, Slot>::iterator slot, const WorkerExited& exited) {
  slots_.erase(slot);
  report_(exited);
  const auto next = waiting_.find(exited.slot);
  if (next == waiting_.end()) return;
  const StartWorker order = next->second;
  waiting_.erase(next);
  start(order);
}

}  // namespace proctor
