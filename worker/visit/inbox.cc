#include "worker/visit/inbox.h"

#include <unistd.h>

#include <cstdio>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

WorkerOrder decoded(const std::string& frame) try { return decode_worker_order(frame); } catch (const Error& error) {
  std::fprintf(stderr, "proctor-worker: %s; do proctor and proctor-worker belong together?\n", error.what());
  std::fflush(nullptr);
  _exit(1);
}

}  // namespace

Inbox::Inbox(Channel& channel, AbortSwitch& abort_switch)
    : thread_([this, &channel, &abort_switch] { read(channel, abort_switch); }) {
  thread_.detach();
}

WorkerOrder Inbox::take() {
  std::unique_lock lock(mutex_);
  filled_.wait(lock, [&] { return !orders_.empty(); });
  WorkerOrder order = std::move(orders_.front());
  orders_.pop_front();
  return order;
}

Descriptor Inbox::take_memory() {
  const std::lock_guard lock(mutex_);
  return std::move(memory_);
}

void Inbox::read(Channel& channel, AbortSwitch& abort_switch) {
  while (const auto frame = channel.receive()) {
    WorkerOrder order = decoded(*frame);
    if (const auto* abort = std::get_if<AbortVisit>(&order)) abort_switch.pull(abort->visit);
    const std::lock_guard lock(mutex_);
    if (auto descriptor = channel.take_descriptor()) memory_ = std::move(*descriptor);
    orders_.push_back(std::move(order));
    filled_.notify_one();
  }
  _exit(0);  // the agent is gone: nobody would hear an answer
}

}  // namespace proctor
