#include "orchestrator/store_thread.h"

#include <utility>

namespace proctor {

void StoreThread::put(StoreRow row) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(std::move(row));
  filled_.notify_one();
}

std::vector<ShardId> StoreThread::acknowledged() {
  const std::lock_guard lock(mutex_);
  if (!failure_.empty()) throw StoreFailure(failure_);
  return std::exchange(durable_, {});
}

void StoreThread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    filled_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void StoreThread::run() {
  for (;;) {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    std::vector<StoreRow> rows = std::exchange(queue_, {});
    lock.unlock();
    if (!commit(std::move(rows))) return;
  }
}

bool StoreThread::commit(std::vector<StoreRow> rows) {
  try {
    store_.begin();
    for (const StoreRow& row : rows) store_.put(row.kind, row.key, row.payload);
    store_.commit();
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex_);
    failure_ = error.what();
    return false;
  }
  const std::lock_guard lock(mutex_);
  for (const StoreRow& row : rows)
    if (row.acknowledge) durable_.push_back(*row.acknowledge);
  return true;
}

}  // namespace proctor
