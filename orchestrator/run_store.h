// run.db: every answer, durable before it counts. SQLite, one connection, one thread at a time; each row carries an
// XXH3 checksum over its table, key and payload, since SQLite itself finds few flipped bits. A row that fails it was
// never acknowledged: it is dropped and computed again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/run_directory.h"
#include "sharding/request.h"

struct sqlite3;
struct sqlite3_stmt;

namespace proctor {

class RunStore {
 public:
  /// Opens or creates. Throws EnvironmentError for a database that is damaged or not ours.
  explicit RunStore(const std::string& path);
  ~RunStore();
  RunStore(const RunStore&) = delete;  // one connection
  RunStore& operator=(const RunStore&) = delete;

  void begin();
  void commit();

  /// `kind` names a table of its own kind of rows: "meta", "pair", "answer", "level", "event", "ledger".
  void put(const std::string& kind, const std::string& key, const std::string& payload);
  std::optional<std::string> get(const std::string& kind, const std::string& key);
  /// All good rows of a kind, by key; bad ones are counted.
  std::vector<std::pair<std::string, std::string>> all(const std::string& kind);
  void erase(const std::string& kind, const std::string& key);
  std::size_t bad_rows() const { return bad_rows_; }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;
  Statement prepare(const char* sql);
  void execute(const char* sql);
  [[noreturn]] void fail(const char* what);

  std::string path_;
  sqlite3* database_ = nullptr;
  Statement put_, get_;
  std::size_t bad_rows_ = 0;
};

std::string encode_responses(const std::vector<Response>& responses);
std::vector<Response> decode_responses(const std::string& payload);

}  // namespace proctor
