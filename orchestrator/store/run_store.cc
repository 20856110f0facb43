#include "orchestrator/store/run_store.h"

#include <sqlite3.h>
#include <xxhash.h>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr char kRemedy[] = "; its answers cannot be trusted: put a good copy back, or use --fresh to begin anew";
constexpr int kApplicationId = 0x50524330 + kRunFormat;  // "PRC3": marks the file as ours, with its format
constexpr char kTables[] =
    "CREATE TABLE records (kind BLOB, key BLOB, payload BLOB, sum INTEGER, PRIMARY KEY (kind, key)) WITHOUT ROWID;"
    "CREATE TABLE log (id INTEGER PRIMARY KEY, kind BLOB, key BLOB, payload BLOB, sum INTEGER)";

/// XXH3 of the three, each seeded with the hash before it.
std::int64_t checksum(std::string_view kind, std::string_view key, std::string_view payload) {
  std::uint64_t hash = 0;
  for (std::string_view part : {kind, key, payload}) hash = XXH3_64bits_withSeed(part.data(), part.size(), hash);
  return static_cast<std::int64_t>(hash);
}

/// What it points to has to live until the statement is stepped.
void bind_blob(sqlite3_stmt* statement, int index, std::string_view text) {
  sqlite3_bind_blob64(statement, index, text.empty() ? "" : text.data(), text.size(), SQLITE_STATIC);
}

/// Valid until the statement's next step.
std::string_view blob(sqlite3_stmt* statement, int column) {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, column));
  return data ? std::string_view(data, static_cast<std::size_t>(sqlite3_column_bytes(statement, column)))
              : std::string_view();
}

}  // namespace

void RunStore::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

RunStore::RunStore(const std::string& path, Open open_as, const char* vfs) : path_(path) {
  if (sqlite3_open_v2(path.c_str(), &database_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                      vfs) != SQLITE_OK) {
    const std::string why = sqlite3_errmsg(database_);
    sqlite3_close(database_);
    throw EnvironmentError(path + ": cannot be opened: " + why);
  }
  try {
    open(open_as);
  } catch (...) {
    put_.reset(), get_.reset(), append_.reset();
    sqlite3_close(database_);
    throw;
  }
}

void RunStore::open(Open open_as) {
  execute("PRAGMA journal_mode=TRUNCATE");
  execute("PRAGMA synchronous=EXTRA");
  const bool empty = pragma("SELECT count(*) FROM sqlite_master") == "0";
  if (empty && open_as == Open::existing) throw EnvironmentError(path_ + ": is empty beside suite.yaml" + kRemedy);
  const int id = empty ? kApplicationId : std::stoi(pragma("PRAGMA application_id"));
  if (id != kApplicationId && id >> 8 == kApplicationId >> 8)
    throw EnvironmentError(path_ + ": is of format " + std::to_string((id & 0xff) - '0') +
                           ", this proctor reads and writes format " + std::to_string(kRunFormat) +
                           "; go on with the proctor that wrote it, or use --fresh, which begins anew and keeps the "
                           "old directory beside (`proctor show` still reads that)");
  if (id != kApplicationId)
    throw EnvironmentError(path_ +
                           ": is no run.db of this proctor; give --out another folder, or --fresh to begin anew");
  if (empty) {
    begin();
    execute(("PRAGMA application_id=" + std::to_string(kApplicationId)).c_str());
    execute(kTables);
    commit();
    sync_folder(std::filesystem::path(path_).parent_path());
  } else if (const std::string verdict = pragma("PRAGMA quick_check(1)"); verdict != "ok") {
    throw EnvironmentError(path_ + ": is damaged (" + verdict + ")" + kRemedy);
  }
  put_ = prepare("INSERT OR REPLACE INTO records VALUES (?1, ?2, ?3, ?4)");
  get_ = prepare("SELECT payload, sum FROM records WHERE kind = ? AND key = ?");
  append_ = prepare("INSERT INTO log (kind, key, payload, sum) VALUES (?1, ?2, ?3, ?4)");
}

RunStore::~RunStore() {
  put_.reset(), get_.reset(), append_.reset();
  sqlite3_close(database_);
}

void RunStore::fail(const char* what) {
  const int code = sqlite3_errcode(database_);
  const std::string why = sqlite3_errmsg(database_);
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
    throw EnvironmentError(path_ + ": is damaged (" + why + ")" + kRemedy);
  const std::string message =
      path_ + ": " + what + ": " + why + " (SQLite " + std::to_string(sqlite3_extended_errcode(database_)) + ")";
  if (code == SQLITE_FULL || code == SQLITE_IOERR) throw StoreFailure(message);
  throw EnvironmentError(message);
}

void RunStore::execute(const char* sql) {
  if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail(sql);
}

/// The first value that a statement gives.
std::string RunStore::pragma(const char* sql) {
  const Statement statement = prepare(sql);
  if (sqlite3_step(statement.get()) != SQLITE_ROW) fail(sql);
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement.get(), 0));
  return text ? text : "";
}

RunStore::Statement RunStore::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database_, sql, -1, &statement, nullptr) != SQLITE_OK) fail(sql);
  return Statement(statement);
}

void RunStore::begin() { execute("BEGIN IMMEDIATE"); }
void RunStore::commit() { execute("COMMIT"); }

void RunStore::insert(sqlite3_stmt* statement, std::string_view kind, std::string_view key, std::string_view payload) {
  bind_blob(statement, 1, kind);
  bind_blob(statement, 2, key);
  bind_blob(statement, 3, payload);
  sqlite3_bind_int64(statement, 4, checksum(kind, key, payload));
  const int done = sqlite3_step(statement);
  sqlite3_reset(statement);
  if (done != SQLITE_DONE) fail("cannot be written");
}

void RunStore::put(std::string_view kind, std::string_view key, std::string_view payload) {
  insert(put_.get(), kind, key, payload);
}

void RunStore::append(std::string_view kind, std::string_view key, std::string_view payload) {
  insert(append_.get(), kind, key, payload);
}

std::optional<std::string> RunStore::get(std::string_view kind, std::string_view key) {
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

std::vector<std::pair<std::string, std::string>> RunStore::all(std::string_view kind) {
  const Statement statement = prepare("SELECT key, payload, sum FROM records WHERE kind = ? ORDER BY key");
  bind_blob(statement.get(), 1, kind);
  std::vector<std::pair<std::string, std::string>> rows;
  int step = 0;
  while ((step = sqlite3_step(statement.get())) == SQLITE_ROW) {
    std::string key(blob(statement.get(), 0)), payload(blob(statement.get(), 1));
    if (sqlite3_column_int64(statement.get(), 2) == checksum(kind, key, payload))
      rows.emplace_back(std::move(key), std::move(payload));
    else
      ++bad_rows_;
  }
  if (step != SQLITE_DONE) fail("cannot be read");
  return rows;
}

void RunStore::replay(const std::function<void(std::string_view, std::string_view, std::string_view)>& row) {
  const Statement statement = prepare("SELECT kind, key, payload, sum FROM log ORDER BY id");
  int step = 0;
  while ((step = sqlite3_step(statement.get())) == SQLITE_ROW) {
    const auto kind = blob(statement.get(), 0), key = blob(statement.get(), 1), payload = blob(statement.get(), 2);
    if (sqlite3_column_int64(statement.get(), 3) == checksum(kind, key, payload))
      row(kind, key, payload);
    else
      ++bad_rows_;
  }
  if (step != SQLITE_DONE) fail("cannot be read");
}

}  // namespace proctor
