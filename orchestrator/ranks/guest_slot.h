// The guest in a worker's slot: what it says of its end waits here until it has been looked at from outside
// (orchestrator/watch). Owned by the agent beside the process, main thread; nothing here waits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/watch/outside_watch.h"
#include "sharding/protocol/descriptor.h"
#include "sharding/protocol/message.h"

namespace proctor {

/// What the guests of an agent share. From its making on this process adopts their orphans; should it be killed, a
/// keeper process ends every guest.
class GuestHouse {
 public:
  /// `proctor`: the binary whose `keep-guests` is the keeper; where it is not there, nobody keeps.
  explicit GuestHouse(const std::filesystem::path& proctor);
  ~GuestHouse();  ///< all guests are gone: the keeper goes, too
  GuestHouse(const GuestHouse&) = delete;
  GuestHouse& operator=(const GuestHouse&) = delete;
  /// PROCTOR_SLOT of a guest: of this agent, slot and incarnation alone.
  std::string slot_name(std::uint32_t slot, std::uint32_t incarnation) const;
  /// Whether guests of another agent, of any run, are on this machine.
  bool others_have_guests();
  /// Its TMPDIR.
  std::filesystem::path make_temporary(std::uint32_t slot, std::uint32_t incarnation) const;

  ProcessTable processes;
  DeviceLibrary devices;

 private:
  std::string name_;
  Descriptor keepers_end_{-1};  // closed with this process
  pid_t keeper_ = -1;
};

/// The verb of the keeper, which only agents use.
constexpr const char* kKeepGuests = "keep-guests";
/// What `proctor keep-guests NAME` does: waits until standard input ends, then ends all guests of that agent.
int keep_guests(const std::string& name);

class GuestSlot {
 public:
  /// `environment`: of the guest, with PROCTOR_SLOT and CUDA_VISIBLE_DEVICES. `temporary`: its TMPDIR, removed when the
  /// guest has ended.
  GuestSlot(GuestHouse& house, WatchedGuest guest, std::filesystem::path temporary);
  ~GuestSlot();  ///< ends what is left of it, at once
  GuestSlot(const GuestSlot&) = delete;
  GuestSlot& operator=(const GuestSlot&) = delete;

  void another_started() { watch_.another_guest_started(); }
  /// Before an order is sent to it.
  void on_order(const std::string& frame, Moment now);
  /// True if the report has to wait: its visit is closed, and is looked at now.
  bool keeps(const FromWorker& report, Moment now);
  /// Its process has ended; reported by poll() once nothing is left of it.
  void on_ended(WorkerExited exited, Moment now);
  bool has_ended() const { return exited_.has_value(); }
  /// Reports what has been seen, and then what waited for it. Returns how the guest ended, once, at the end of it.
  std::optional<WorkerExited> poll(Moment now, std::uint32_t slot, std::uint32_t incarnation,
                                   const std::function<void(AgentReport)>& report);

 private:
  OutsideWatch watch_;
  std::filesystem::path temporary_;
  VisitId visit_{0};
  std::optional<FromWorker> closed_;
  std::optional<WorkerExited> exited_;
};

}  // namespace proctor
