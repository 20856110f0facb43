#include "orchestrator/run_store.h"

#include <sqlite3.h>
#include <xxhash.h>

#include "sharding/error.h"

namespace proctor {
namespace {

constexpr int kApplicationId = 0x50524331;  // "PRC1": marks the file as ours, with its format

std::int64_t checksum(std::string_view kind, std::string_view key, std::string_view payload) {
  std::string text;
  text.reserve(kind.size() + key.size() + payload.size() + 2);
  text.append(kind).append(1, '\0').append(key).append(1, '\0').append(payload);
  return static_cast<std::int64_t>(XXH3_64bits(text.data(), text.size()));
}

void bind_blob(sqlite3_stmt* statement, int index, std::string_view text) {
  sqlite3_bind_blob64(statement, index, text.data(), text.size(), SQLITE_TRANSIENT);
}

std::string blob(sqlite3_stmt* statement, int column) {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, column));
  return data ? std::string(data, static_cast<std::size_t>(sqlite3_column_bytes(statement, column))) : std::string();
}

}  // namespace

void RunStore::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

RunStore::RunStore(const std::string& path) : path_(path) {
  if (sqlite3_open_v2(path.c_str(), &database_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                      "unix-none") != SQLITE_OK) {
    const std::string why = sqlite3_errmsg(database_);
    sqlite3_close(database_);
    throw EnvironmentError(path + ": cannot be opened: " + why);
  }
  try {
    execute("PRAGMA journal_mode=TRUNCATE");
    execute("PRAGMA synchronous=EXTRA");
    const Statement id = prepare("PRAGMA application_id"), tables = prepare("SELECT count(*) FROM sqlite_master");
    if (sqlite3_step(id.get()) != SQLITE_ROW || sqlite3_step(tables.get()) != SQLITE_ROW) fail("is damaged");
    const bool empty = sqlite3_column_int(tables.get(), 0) == 0;
    if (!empty && sqlite3_column_int(id.get(), 0) != kApplicationId)
      throw EnvironmentError(path_ +
                             ": is no run.db of this proctor; give --out another folder, or --fresh to begin anew");
    execute(("PRAGMA application_id=" + std::to_string(kApplicationId)).c_str());
    execute(
        "CREATE TABLE IF NOT EXISTS rows (kind BLOB, key BLOB, payload BLOB, sum INTEGER, PRIMARY KEY (kind, key)) "
        "WITHOUT ROWID");
    put_ = prepare("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)");
    get_ = prepare("SELECT payload, sum FROM rows WHERE kind = ? AND key = ?");
  } catch (const StoreFailure& error) {
    sqlite3_close(database_);
    throw EnvironmentError(error.what());
  } catch (...) {
    sqlite3_close(database_);
    throw;
  }
}

RunStore::~RunStore() {
  put_.reset();
  get_.reset();
  sqlite3_close(database_);
}

void RunStore::fail(const char* what) {
  throw StoreFailure(path_ + ": " + what + ": " + sqlite3_errmsg(database_) + " (SQLite " +
                     std::to_string(sqlite3_extended_errcode(database_)) + ")");
}

void RunStore::execute(const char* sql) {
  if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail(sql);
}

RunStore::Statement RunStore::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database_, sql, -1, &statement, nullptr) != SQLITE_OK) fail(sql);
  return Statement(statement);
}

void RunStore::begin() { execute("BEGIN IMMEDIATE"); }
void RunStore::commit() { execute("COMMIT"); }

void RunStore::put(const std::string& kind, const std::string& key, const std::string& payload) {
  bind_blob(put_.get(), 1, kind);
  bind_blob(put_.get(), 2, key);
  bind_blob(put_.get(), 3, payload);
  sqlite3_bind_int64(put_.get(), 4, checksum(kind, key, payload));
  const int done = sqlite3_step(put_.get());
  sqlite3_reset(put_.get());
  if (done != SQLITE_DONE) fail("cannot be written");
}

std::optional<std::string> RunStore::get(const std::string& kind, const std::string& key) {
  bind_blob(get_.get(), 1, kind);
  bind_blob(get_.get(), 2, key);
  std::optional<std::string> payload;
  if (sqlite3_step(get_.get()) == SQLITE_ROW) {
    payload = blob(get_.get(), 0);
    if (sqlite3_column_int64(get_.get(), 1) != checksum(kind, key, *payload)) payload.reset(), ++bad_rows_;
  }
  sqlite3_reset(get_.get());
  return payload;
}

std::vector<std::pair<std::string, std::string>> RunStore::all(const std::string& kind) {
  const Statement statement = prepare("SELECT key, payload, sum FROM rows WHERE kind = ? ORDER BY key");
  bind_blob(statement.get(), 1, kind);
  std::vector<std::pair<std::string, std::string>> rows;
  int step = 0;
  while ((step = sqlite3_step(statement.get())) == SQLITE_ROW) {
    std::string key = blob(statement.get(), 0), payload = blob(statement.get(), 1);
    if (sqlite3_column_int64(statement.get(), 2) == checksum(kind, key, payload))
      rows.emplace_back(std::move(key), std::move(payload));
    else
      ++bad_rows_;
  }
  if (step != SQLITE_DONE) fail("cannot be read");
  return rows;
}

void RunStore::erase(const std::string& kind, const std::string& key) {
  const Statement statement = prepare("DELETE FROM rows WHERE kind = ? AND key = ?");
  bind_blob(statement.get(), 1, kind);
  bind_blob(statement.get(), 2, key);
  if (sqlite3_step(statement.get()) != SQLITE_DONE) fail("cannot be written");
}

std::string encode_responses(const std::vector<Response>& responses) {
  std::string bytes;
  nlohmann::json::to_msgpack(nlohmann::json(responses), bytes);
  return bytes;
}

std::vector<Response> decode_responses(const std::string& payload) {
  return nlohmann::json::from_msgpack(payload).get<std::vector<Response>>();
}

}  // namespace proctor
