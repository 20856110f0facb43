#include "worker/visit/gang.h"

#include <thread>

#include "worker/communicator/communicator_nccl.h"

namespace proctor {

std::shared_ptr<Communicator> make_communicator(const MeetingPlace& place, const Device& device) {
  if (place.size == 1) return make_solo_communicator();
  if (device.torch().is_cpu()) return make_shared_memory_communicator(place.memory, place.rank, place.size);
  return make_nccl_communicator(nccl_library(), place.address, place.rank, place.size, device.torch());
}

void AbortSwitch::arm(VisitId visit, const std::shared_ptr<Communicator>& communicator) {
  const std::lock_guard lock(mutex_);
  visit_ = visit;
  communicator_ = communicator;
}

void AbortSwitch::pull(VisitId visit) {
  const std::lock_guard lock(mutex_);
  pulled_ = visit;
  if (visit_ != visit) return;
  if (auto communicator = communicator_.lock())
    std::thread([communicator = std::move(communicator)] { communicator->abort(); }).detach();  // it may never return
}

bool AbortSwitch::pulled(VisitId visit) {
  const std::lock_guard lock(mutex_);
  return pulled_ == visit;
}

}  // namespace proctor
