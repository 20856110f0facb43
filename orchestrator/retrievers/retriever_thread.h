// The thread of rank 0 that computes modules without a model, shard by shard in the order in which they are put. What
// it answers comes back through take(); the main thread does all else.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "orchestrator/data/passage.h"
#include "sharding/protocol/ids.h"
#include "sharding/protocol/request.h"

namespace proctor {

/// A shard with all that it needs.
struct RetrieverJob {
  ShardId shard;
  std::string kind;
  nlohmann::json options;
  std::shared_ptr<const std::vector<Passage>> corpus;  ///< nullptr: it searches none
  std::vector<Request> requests;
};

class RetrieverThread {
 public:
  RetrieverThread() : thread_([this] { run(); }) {}
  /// Waits for the query in hand; the rest is dropped.
  ~RetrieverThread();
  RetrieverThread(const RetrieverThread&) = delete;  // its thread works in it
  RetrieverThread& operator=(const RetrieverThread&) = delete;

  void put(RetrieverJob job);
  /// What has been answered since the last call.
  std::vector<std::pair<ShardId, std::vector<Response>>> take();

 private:
  void run();
  bool stopping();

  std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<RetrieverJob> jobs_;
  std::vector<std::pair<ShardId, std::vector<Response>>> done_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace proctor
