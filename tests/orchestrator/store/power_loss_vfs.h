// A file system for SQLite that loses power: files in memory, of which only what was synced is sure to last. Of the
// unsynced writes and truncations of a file, a crash keeps any: each may be applied, dropped, or (a write) torn at a
// sector, in another order than they were made. Not for more than one thread.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace proctor {

class PowerLossVfs {
 public:
  struct PowerLost : std::runtime_error {
    PowerLost() : std::runtime_error("power lost") {}
  };

  PowerLossVfs() {
    vfs_ = *sqlite3_vfs_find(nullptr);
    vfs_.szOsFile = sizeof(Handle);
    vfs_.zName = "power-loss";
    vfs_.pAppData = this;
    vfs_.xOpen = [](sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
      return self(vfs).open(name, file, flags, out);
    };
    vfs_.xDelete = [](sqlite3_vfs* vfs, const char* name, int) {
      return self(vfs).files_.erase(name) ? SQLITE_OK : SQLITE_IOERR_DELETE_NOENT;
    };
    vfs_.xAccess = [](sqlite3_vfs* vfs, const char* name, int, int* out) {
      *out = self(vfs).files_.contains(name);
      return SQLITE_OK;
    };
    vfs_.xFullPathname = [](sqlite3_vfs*, const char* name, int size, char* out) {
      sqlite3_snprintf(size, out, "%s", name);
      return SQLITE_OK;
    };
    sqlite3_vfs_register(&vfs_, 0);
  }
  ~PowerLossVfs() { sqlite3_vfs_unregister(&vfs_); }
  PowerLossVfs(const PowerLossVfs&) = delete;  // SQLite points to it
  PowerLossVfs& operator=(const PowerLossVfs&) = delete;

  const char* name() const { return vfs_.zName; }
  /// The power goes at the nth write, truncation or sync from now on, before it is done; 0: never.
  void lose_power_at(std::uint64_t operation) {
    operation_ = 0;
    lose_at_ = operation;
    lost_ = false;
  }
  std::uint64_t operations() const { return operation_; }
  /// What the disk holds after the crash.
  void come_back(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    for (auto& [name, file] : files_) crash(*file, random);
    lose_power_at(0);
  }

 private:
  struct Change {
    std::int64_t at = 0;
    std::string bytes;
    bool truncation = false;
  };
  struct File {
    std::string now, durable;
    std::vector<Change> unsynced;
  };
  struct Handle {
    sqlite3_file base;
    PowerLossVfs* vfs;
    File* file;
  };
  static constexpr std::size_t kSector = 512;

  static PowerLossVfs& self(sqlite3_vfs* vfs) { return *static_cast<PowerLossVfs*>(vfs->pAppData); }
  static Handle& handle(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }

  static void apply(std::string& content, const Change& change) {
    const auto at = static_cast<std::size_t>(change.at);
    if (change.truncation) return content.resize(at);
    if (content.size() < at + change.bytes.size()) content.resize(at + change.bytes.size());
    content.replace(at, change.bytes.size(), change.bytes);
  }

  static void crash(File& file, std::mt19937_64& random) {
    std::shuffle(file.unsynced.begin(), file.unsynced.end(), random);
    for (Change& change : file.unsynced) {
      const auto fate = random() % 3;
      if (fate == 0) continue;
      if (fate == 1 && change.bytes.size() > kSector)
        change.bytes.resize(random() % (change.bytes.size() / kSector) * kSector);
      if (!change.bytes.empty() || change.truncation) apply(file.durable, change);
    }
    file.unsynced.clear();
    file.now = file.durable;
  }

  /// False once the power is gone.
  bool powered() {
    if (lost_) return false;
    lost_ = ++operation_ == lose_at_;
    return !lost_;
  }

  int open(const char* name, sqlite3_file* file, int flags, int* out) {
    auto& kept = files_[name ? name : "temporary"];
    if (!kept) kept = std::make_unique<File>();
    handle(file) = {{&methods()}, this, kept.get()};
    if (out) *out = flags;
    return SQLITE_OK;
  }

  static int change(sqlite3_file* file, Change what) {
    Handle& h = handle(file);
    if (!h.vfs->powered()) return SQLITE_IOERR_WRITE;
    apply(h.file->now, what);
    h.file->unsynced.push_back(std::move(what));
    return SQLITE_OK;
  }

  static int read(sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
    const std::string& now = handle(file).file->now;
    std::memset(to, 0, static_cast<std::size_t>(size));
    if (static_cast<std::size_t>(at) >= now.size()) return SQLITE_IOERR_SHORT_READ;
    const std::size_t there = std::min(static_cast<std::size_t>(size), now.size() - static_cast<std::size_t>(at));
    std::memcpy(to, now.data() + at, there);
    return there == static_cast<std::size_t>(size) ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
  }

  static int sync(sqlite3_file* file) {
    Handle& h = handle(file);
    if (!h.vfs->powered()) return SQLITE_IOERR_FSYNC;
    h.file->durable = h.file->now;
    h.file->unsynced.clear();
    return SQLITE_OK;
  }

  static const sqlite3_io_methods& methods() {
    static const sqlite3_io_methods kMethods = {
        1,
        [](sqlite3_file*) { return SQLITE_OK; },
        read,
        [](sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
          return change(file, {at, std::string(static_cast<const char*>(from), static_cast<std::size_t>(size)), false});
        },
        [](sqlite3_file* file, sqlite3_int64 size) {
          return change(file, {size, "", true});
        },
        [](sqlite3_file* file, int) { return sync(file); },
        [](sqlite3_file* file, sqlite3_int64* size) {
          *size = static_cast<sqlite3_int64>(handle(file).file->now.size());
          return SQLITE_OK;
        },
        [](sqlite3_file*, int) { return SQLITE_OK; },
        [](sqlite3_file*, int) { return SQLITE_OK; },
        [](sqlite3_file*, int* held) {
          *held = 0;
          return SQLITE_OK;
        },
        [](sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; },
        [](sqlite3_file*) { return static_cast<int>(kSector); },
        [](sqlite3_file*) { return 0; },
        nullptr,
        nullptr,
        nullptr,
        nullptr,
        nullptr,
        nullptr};
    return kMethods;
  }

  sqlite3_vfs vfs_;
  std::map<std::string, std::unique_ptr<File>> files_;
  std::uint64_t operation_ = 0, lose_at_ = 0;
  bool lost_ = false;
};

}  // namespace proctor
