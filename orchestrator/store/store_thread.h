// The one thread that writes into the run directory while a run goes on: run.db by group commit, and after each commit
// the files that tell of it. What is durable comes back through acknowledged(). A stall of the file system delays
// acknowledgements and nothing else; a failed write ends all writing.
#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "orchestrator/store/run_lock.h"
#include "orchestrator/store/run_store.h"
#include "sharding/protocol/ids.h"

namespace proctor {

struct StoreRow {
  enum class Table { record, log } table = Table::log;
  std::string kind, key, payload;
  std::optional<ShardId> acknowledge;  ///< told once this row is durable
};

class StoreThread {
 public:
  /// A commit gathers what comes within kGather, at most kGatherRows.
  static constexpr std::chrono::milliseconds kGather{20};
  static constexpr std::size_t kGatherRows = 1000;

  /// `lock`: beaten, and verified before each commit; may be nullptr.
  explicit StoreThread(RunStore& store, RunLock* lock = nullptr)
      : store_(store), lock_(lock), recorded_(recorded_files(store)), thread_([this] { run(); }) {}
  ~StoreThread() { stop(); }

  void put(StoreRow row);
  /// A file of its own, written whole; of several waiting contents of one path only the last is written. The database
  /// has its name before it is there (record "file"), so that a later run knows whose it is.
  void write(const std::filesystem::path& path, std::string content);
  /// The same without a sync, and failing silently: what tells of a run is not the run.
  void write_status(const std::filesystem::path& path, std::string content);
  void append(const std::filesystem::path& path, const std::string& text);

  /// Shards durable since the last call. Throws what writing failed with (StoreFailure, LockLost, EnvironmentError):
  /// nothing later was stored.
  std::vector<ShardId> acknowledged();
  /// Waits until everything put so far is durable. False past the deadline; failures are acknowledged()'s to tell.
  bool flush(std::chrono::duration<double> limit);
  void stop();  ///< writes what is queued and joins
  /// For a file system that does not answer: the thread is left behind; only _exit is safe after it.
  void abandon() { thread_.detach(); }

 private:
  enum class Mode { whole, status, append };
  struct FileJob {
    Mode mode = Mode::whole;
    std::string content;
  };
  struct Jobs {
    std::vector<StoreRow> rows;
    std::map<std::filesystem::path, FileJob> files;
    bool empty() const { return rows.empty() && files.empty(); }
  };
  void file(const std::filesystem::path& path, Mode mode, std::string content);
  void run();
  void carry_out(const Jobs& jobs);
  static std::set<std::string> recorded_files(RunStore& store);
  std::vector<std::string> unrecorded_files(const Jobs& jobs);

  RunStore& store_;
  RunLock* lock_;
  std::set<std::string> recorded_;  // files, by their names in the run directory
  std::chrono::steady_clock::time_point beaten_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::condition_variable filled_, emptied_;
  Jobs queue_;
  bool busy_ = false;
  std::vector<ShardId> durable_;
  std::exception_ptr failure_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace proctor
