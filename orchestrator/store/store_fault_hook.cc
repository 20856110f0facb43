#include "orchestrator/store/store_fault_hook.h"

#include <signal.h>
#include <sqlite3.h>

#include <chrono>
#include <cstdlib>
#include <new>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

struct Harm {
  std::uint64_t operation = 0, done = 0;
  std::string action;
  double seconds = 0;
};
Harm harm;  // the VFS interface has no other place for it; one store in a process
sqlite3_vfs* inner = nullptr;

struct File {
  sqlite3_file base;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<File*>(file)->real(); }

int boundary() {
  if (++harm.done < harm.operation) return SQLITE_OK;
  if (harm.action == "full") return SQLITE_FULL;
  if (harm.action == "eio") return SQLITE_IOERR_FSYNC;
  if (harm.done > harm.operation) return SQLITE_OK;
  if (harm.action == "kill") raise(SIGKILL);
  if (harm.action == "stall") std::this_thread::sleep_for(std::chrono::duration<double>(harm.seconds));
  return SQLITE_OK;
}

const sqlite3_io_methods kMethods = {
    1,
    [](sqlite3_file* f) { return real(f)->pMethods->xClose(real(f)); },
    [](sqlite3_file* f, void* to, int n, sqlite3_int64 at) { return real(f)->pMethods->xRead(real(f), to, n, at); },
    [](sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
      const int harmed = boundary();
      return harmed ? harmed : real(f)->pMethods->xWrite(real(f), from, n, at);
    },
    [](sqlite3_file* f, sqlite3_int64 size) {
      const int harmed = boundary();
      return harmed ? harmed : real(f)->pMethods->xTruncate(real(f), size);
    },
    [](sqlite3_file* f, int flags) {
      const int harmed = boundary();
      return harmed ? harmed : real(f)->pMethods->xSync(real(f), flags);
    },
    [](sqlite3_file* f, sqlite3_int64* size) { return real(f)->pMethods->xFileSize(real(f), size); },
    [](sqlite3_file* f, int level) { return real(f)->pMethods->xLock(real(f), level); },
    [](sqlite3_file* f, int level) { return real(f)->pMethods->xUnlock(real(f), level); },
    [](sqlite3_file* f, int* held) { return real(f)->pMethods->xCheckReservedLock(real(f), held); },
    [](sqlite3_file* f, int what, void* value) { return real(f)->pMethods->xFileControl(real(f), what, value); },
    [](sqlite3_file* f) { return real(f)->pMethods->xSectorSize(real(f)); },
    [](sqlite3_file* f) { return real(f)->pMethods->xDeviceCharacteristics(real(f)); },
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    nullptr};

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  auto* wrapped = new (file) File();
  const int result = inner->xOpen(inner, name, wrapped->real(), flags, flags_out);
  wrapped->base.pMethods = wrapped->real()->pMethods ? &kMethods : nullptr;
  return result;
}

}  // namespace

const char* store_vfs() {
  const char* text = std::getenv("PROCTOR_TEST_STORE");
  if (!text) return "unix-none";
  try {
    const auto json = nlohmann::json::parse(text);
    harm = {json.at("operation"), harm.done, json.at("action"),
            json.value("seconds", 0.0)};  // over all runs of a process
  } catch (const nlohmann::json::exception& error) {
    throw UsageError(std::string("PROCTOR_TEST_STORE: ") + error.what());
  }
  inner = sqlite3_vfs_find("unix-none");
  static sqlite3_vfs outer = *inner;
  outer.zName = "proctor-test";
  outer.szOsFile = static_cast<int>(sizeof(File)) + inner->szOsFile;
  outer.xOpen = open_file;
  sqlite3_vfs_register(&outer, 0);
  return outer.zName;
}

}  // namespace proctor
