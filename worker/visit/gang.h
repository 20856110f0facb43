// What one member holds of a visit: its end of the communicator and its share of the module. Torn down by teardown.h in
// its order. Owned by the worker's loop, compute thread only.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "sharding/protocol/ids.h"
#include "worker/communicator/communicator.h"
#include "worker/kinds/kinds.h"

namespace proctor {

struct Gang {
  std::shared_ptr<Communicator> communicator;  ///< shared with a thread that aborts it, while that runs
  std::shared_ptr<OpenModule> module;          ///< shared only so that teardown can prove that nobody else holds it
};

/// How a member of a gang wider than 1 finds the others.
struct MeetingPlace {
  std::uint32_t rank = 0, size = 1;
  Descriptor memory;    ///< CPU: the agent's
  std::string address;  ///< GPU: member 0's
};

/// This member's end, not yet joined. Throws EnvironmentError or GangError.
std::shared_ptr<Communicator> make_communicator(const MeetingPlace& place, const Device& device);

/// Lets the reader thread abort what the compute thread waits in.
class AbortSwitch {
 public:
  /// Compute thread: a visit began; its communicator, once there is one.
  void arm(VisitId visit, const std::shared_ptr<Communicator>& communicator = nullptr);
  /// Reader thread: from here on the visit's units are not begun, and its communicator is aborted on a thread of its
  /// own.
  void pull(VisitId visit);
  bool pulled(VisitId visit);

 private:
  std::mutex mutex_;
  VisitId visit_, pulled_;
  std::weak_ptr<Communicator> communicator_;
};

}  // namespace proctor
