// run.db: the run's journal, every answer durable before it counts. SQLite, one connection, one thread at a time. Small
// facts are records, replaced by key; answers, attempts, events and ledger rows are appended to the log. Each row
// carries an XXH3 checksum over its kind, key and payload, since SQLite itself finds few flipped bits. A row that fails
// it was never acknowledged: it is left out, counted, and computed again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/store/run_directory.h"

struct sqlite3;
struct sqlite3_stmt;

namespace proctor {

inline constexpr const char* kWrittenFile = "file";  ///< a record: what a run wrote beside its database, by name

class RunStore {
 public:
  enum class Open { new_or_existing, existing };
  /// No file-system locks are used (owner.json is the lock). Throws EnvironmentError for a database that is damaged,
  /// not ours or, where an existing one is asked for, missing or empty.
  explicit RunStore(const std::string& path, Open open = Open::new_or_existing, const char* vfs = "unix-none");
  ~RunStore();
  RunStore(const RunStore&) = delete;  // one connection
  RunStore& operator=(const RunStore&) = delete;

  void begin();
  void commit();

  /// Where the database lies: the run directory.
  std::filesystem::path folder() const { return std::filesystem::path(path_).parent_path(); }

  /// Records: `kind` is "meta", "pair", "shape", "chosen" or "file".
  void put(std::string_view kind, std::string_view key, std::string_view payload);
  std::optional<std::string> get(std::string_view kind, std::string_view key);
  /// All good rows of a kind, by key.
  std::vector<std::pair<std::string, std::string>> all(std::string_view kind);

  /// The log: `kind` is "answer", "attempt", "event" or "ledger".
  void append(std::string_view kind, std::string_view key, std::string_view payload);
  /// Calls `row(kind, key, payload)` for every good row of the log, oldest first.
  void replay(const std::function<void(std::string_view, std::string_view, std::string_view)>& row);

  std::size_t bad_rows() const { return bad_rows_; }  ///< met so far

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;
  void open(Open open);
  Statement prepare(const char* sql);
  void execute(const char* sql);
  std::string pragma(const char* sql);
  void insert(sqlite3_stmt* statement, std::string_view kind, std::string_view key, std::string_view payload);
  [[noreturn]] void fail(const char* what);

  std::string path_;
  sqlite3* database_ = nullptr;
  Statement put_, get_, append_;
  std::size_t bad_rows_ = 0;
};

}  // namespace proctor
