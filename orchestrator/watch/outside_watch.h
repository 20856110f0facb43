// One guest process, measured from outside: its process tree, its devices and /dev/shm, from before a visit until after
// it, and what it leaves is ended. Nothing that the guest says of itself enters. Owned by the agent beside the process,
// main thread. Nothing here waits for anybody; how long a look at /proc takes stands in process_tree.h.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "orchestrator/watch/device_library.h"
#include "orchestrator/watch/process_table.h"
#include "orchestrator/watch/process_tree.h"
#include "orchestrator/watch/shared_memory.h"
#include "sharding/protocol/moment.h"
#include "sharding/protocol/outside_measures.h"

namespace proctor {

struct WatchedGuest {
  pid_t pid = 0;     ///< a child of this process, first of its process group, not reaped yet
  std::string slot;  ///< PROCTOR_SLOT in its environment: of this agent, slot and incarnation alone; "": none
  std::string visible_devices;  ///< CUDA_VISIBLE_DEVICES in its environment; "": no devices
  /// No other guest of this user is on this node: each new entry of /dev/shm that nobody holds is then this guest's.
  bool alone = false;
  std::string shared_folder = "/dev/shm";
};

class OutsideWatch {
 public:
  /// What ends: a visit, and the guest stays; or the guest, which then should be gone with all that descends from it.
  enum class Ending { visit, guest };

  /// As soon as the guest is started: entries of /dev/shm that are there already are not the guest's. Keeps both
  /// references.
  OutsideWatch(WatchedGuest guest, ProcessTable& processes, const DeviceLibrary& devices);

  /// It is not alone from here on.
  void another_guest_started() { company_ = SharedMemory::Company::others; }

  /// Before the guest is told to open a visit. The baseline of the first one is the process as it is now, of others
  /// what the visit before left; devices are read now.
  void open(Moment now);
  /// Call it as often as you like, it looks once a second, less often where looking takes long: for the peaks, and so
  /// that what leaves the tree later is known.
  void sample(Moment now);
  /// The guest has said that its visit is closed, or is leaving, or is gone.
  void closing(Ending ending, Moment now);
  bool is_closing() const { return state_ != State::watching; }
  /// Poll it after closing(). Waits until only the processes of the baseline are there (of a guest that ends: none) and
  /// the devices' bytes are as at open(), at most 2 s, measures, ends what is left, waits at most 1 s until it is gone,
  /// and removes what it left in /dev/shm. Then it returns the measures, once.
  std::optional<OutsideMeasures> settle(Moment now);

  struct Swept {
    std::vector<std::string> killed;  ///< by this call, the guest itself not named: "sleep (4711)"
    bool gone = false;                ///< nothing is left to kill, nor dying
  };
  /// At once, SIGKILL to the tree but the baseline's processes, or (Ending::guest) to all of it, until a walk finds
  /// nobody who has not got it. Those who have can start nobody any more, but take their time to die.
  Swept sweep(Ending ending);

 private:
  enum class State { watching, settling, ending };
  struct DeviceBytes {
    std::optional<std::uint64_t> tree, all;
  };
  std::vector<Process> look();
  DeviceBytes read_devices();
  void note_peak(const TreeUse& use, const DeviceBytes& bytes);
  bool is_spared(const ProcessId& id, Ending ending) const;
  bool is_back(const std::vector<Process>& tree, const DeviceBytes& bytes) const;
  bool tells_apart() const;
  void measure_end(const std::vector<Process>& tree, const DeviceBytes& bytes);
  void take_device_bytes();
  void begin();

  ProcessTable& processes_;
  const DeviceLibrary& library_;
  std::vector<DeviceLibrary::Device> devices_;
  TreeMarks marks_;
  std::set<pid_t> pids_;        // of the tree, ever: the driver may name one that is gone
  std::set<ProcessId> killed_;  // by sweeps
  std::set<ProcessId> spared_;  // of the baseline
  SharedMemory shared_;
  SharedMemory::Company company_;
  bool tree_was_listed_ = false, others_were_listed_ = false, strangers_were_listed_ = false;
  std::optional<double> energy_now_j_, energy_before_j_;

  State state_ = State::watching;
  Ending ending_ = Ending::visit;
  Moment next_sample_{0}, next_look_{0}, until_{0};
  std::uint32_t visits_ = 0;  // that have ended
  TreeUse baseline_;
  OutsideMeasures measures_;  // of this visit
  DeviceBytes before_, peak_, after_;
};

}  // namespace proctor
