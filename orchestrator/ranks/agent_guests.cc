// The agent's guests: how their processes are started, and what is seen of them from outside.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "orchestrator/base/machine.h"
#include "orchestrator/base/spawn.h"
#include "orchestrator/ranks/agent.h"
#include "orchestrator/watch/strays.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

/// CUDA_VISIBLE_DEVICES of a guest: of those that this process sees, or of all, `width` from the `first` on.
std::string visible_devices(std::uint32_t first, std::uint32_t width) {
  std::vector<std::string> mine;
  if (const char* seen = std::getenv("CUDA_VISIBLE_DEVICES")) {
    std::istringstream list(seen);
    for (std::string one; std::getline(list, one, ',');) mine.push_back(one);
  }
  std::string text;
  for (std::uint32_t d = first; d < first + width; ++d)
    text += (text.empty() ? "" : ",") + (d < mine.size() ? mine[d] : std::to_string(d));
  return text;
}

}  // namespace

WorkerCommand Agent::command_of(const StartWorker& order) {
  const std::uint32_t index = place_.rank * workers_ + order.slot;
  WorkerCommand command{worker_binary_,
                        configuration_.device,
                        index,
                        configuration_.cpu_threads,
                        configuration_.memory_limit_bytes,
                        configuration_.log_folder + "/worker-" + host_name() + "-" + std::to_string(index) + ".log",
                        {},
                        {}};
  if (!order.occupant.is_guest()) return command;
  if (!house_) house_ = std::make_unique<GuestHouse>(fs::path(worker_binary_).parent_path() / "proctor");
  const Program& program = configuration_.guests.at(order.occupant.program - 1);
  const std::string name = house_->slot_name(order.slot, order.incarnation);
  const bool cpu = facts_.kind == "cpu";
  command.device = cpu ? "cpu" : "cuda";
  command.guest = program.command;
  command.environment = program.environment;
  command.environment.push_back("PROCTOR_SLOT=" + name);
  command.environment.push_back("CUDA_VISIBLE_DEVICES=" + (cpu ? "" : visible_devices(index, order.occupant.width)));
  command.environment.push_back("CUDA_DEVICE_ORDER=PCI_BUS_ID");  // as the driver's library numbers them
  command.environment.push_back("TMPDIR=" + house_->make_temporary(order.slot, order.incarnation).string());
  return command;
}

std::unique_ptr<GuestSlot> Agent::watch_guest(const StartWorker& order, const WorkerCommand& command, pid_t pid) {
  const auto value = [&](const std::string& name) {
    for (const std::string& entry : command.environment)
      if (entry.starts_with(name)) return entry.substr(name.size());
    return std::string();
  };
  bool company = place_.ranks > 1 || house_->others_have_guests();
  for (auto& [number, slot] : slots_)
    if (slot.guest) slot.guest->another_started(), company = true;
  WatchedGuest watched;
  watched.pid = pid;
  watched.slot = house_->slot_name(order.slot, order.incarnation);
  watched.visible_devices = value("CUDA_VISIBLE_DEVICES=");
  watched.alone = !company;
  return std::make_unique<GuestSlot>(*house_, std::move(watched), value("TMPDIR="));
}

/// A guest that ends by itself with an error has mostly said why: the last line of its log.
std::string Agent::with_last_words(const std::string& how, const Slot& slot) {
  constexpr std::streamoff kMost = 2000;  // bytes
  if (!slot.guest || slot.ordered_to_end || slot.process->signal() != 0) return how;
  std::ifstream log(slot.log_file, std::ios::binary | std::ios::ate);
  const std::streamoff size = log.tellg();
  log.seekg(std::max<std::streamoff>(0, size - kMost));
  std::ostringstream tail;
  tail << log.rdbuf();
  std::string text = tail.str();
  text.erase(text.find_last_not_of("\n ") + 1);
  text.erase(0, text.rfind('\n') + 1);
  return text.empty() ? how : how + " (" + text + ")";
}

void Agent::look_at_guests() {
  if (!house_) return;
  const Moment now = monotonic();
  for (auto next = slots_.begin(); next != slots_.end();) {
    const auto it = next++;
    if (!it->second.guest) continue;
    if (const auto exited = it->second.guest->poll(now, it->first, it->second.incarnation, report_)) over(it, *exited);
  }
  (void)reap_strays(was_spawned_here);
}

}  // namespace proctor
