// The one thread that owns SQLite while a run goes on. Rows queue up and are committed together (group commit); what is
// durable comes back through acknowledged(). A stall of the file system delays acknowledgements and nothing else.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "orchestrator/run_store.h"
#include "sharding/ids.h"

namespace proctor {

struct StoreRow {
  std::string kind, key, payload;
  std::optional<ShardId> acknowledge;  ///< told once this row is durable
};

class StoreThread {
 public:
  explicit StoreThread(RunStore& store) : store_(store), thread_([this] { run(); }) {}
  ~StoreThread() { stop(); }

  void put(StoreRow row);
  /// Shards durable since the last call. Throws StoreFailure if writing failed: nothing later was stored.
  std::vector<ShardId> acknowledged();
  void stop();  ///< commits what is queued and joins

 private:
  void run();
  bool commit(std::vector<StoreRow> rows);

  RunStore& store_;
  std::mutex mutex_;
  std::condition_variable filled_;
  std::vector<StoreRow> queue_;
  std::vector<ShardId> durable_;
  std::string failure_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace proctor
