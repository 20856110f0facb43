// The run directory's files: where they are, how they are written (to a temporary name, synced, renamed).
#pragma once

#include <filesystem>
#include <string>

#include "sharding/protocol/error.h"

namespace proctor {

inline constexpr int kRunFormat = 3;  ///< of a run directory; 3: answers by the names of their fields

class RunDirectory {
 public:
  explicit RunDirectory(const std::filesystem::path& root);
  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path database() const { return root_ / "run.db"; }
  std::filesystem::path suite() const { return root_ / "suite.yaml"; }
  std::filesystem::path results(const std::string& module) const { return root_ / "results" / (module + ".json"); }
  std::filesystem::path samples(const std::string& module, const std::string& task) const {
    return root_ / "samples" / module / (task + ".jsonl");
  }
  std::filesystem::path responses(const std::string& module, const std::string& task) const {
    return root_ / "responses" / module / (task + ".jsonl");
  }
  std::filesystem::path images() const { return root_ / "images"; }  ///< that came as bytes, and what is known of all
  std::filesystem::path manifest() const { return root_ / "manifest.json"; }
  std::filesystem::path ledger() const { return root_ / "ledger.jsonl"; }
  std::filesystem::path turns() const { return root_ / "turns.jsonl"; }
  std::filesystem::path status() const { return root_ / "status.json"; }
  std::filesystem::path metrics() const { return root_ / "metrics.prom"; }
  std::filesystem::path logs() const { return root_ / "logs"; }
  std::filesystem::path owner() const { return root_ / "owner.json"; }

  std::filesystem::path marker() const { return root_ / ".proctor-run"; }  ///< says that the folder is a run's

  /// Throws UsageError for a folder that is neither empty nor a run directory. Logs may be there before a run.
  void refuse_foreign() const;
  void create() const;  ///< the marker and the folders
  /// --fresh: renames what is there but images, never deletes. The caller holds its lock.
  void set_aside() const;

 private:
  std::filesystem::path root_;
};

/// Disk full or an I/O error: nothing more may be written, what is stored stays good.
struct StoreFailure : Error {
  explicit StoreFailure(const std::string& message) : Error(Fault::environment, message) {}
};

/// Another proctor has taken the run directory over: nothing more may be written into it.
struct LockLost : EnvironmentError {
  using EnvironmentError::EnvironmentError;
};

/// What to tell the user of it.
constexpr char kMakeRoom[] = "; what was acknowledged is kept. Make room and run the same command again";

/// Of a failed call on a path, by errno: StoreFailure where the disk is full or fails, else EnvironmentError.
[[noreturn]] void throw_errno(const std::filesystem::path& path, const char* what);

/// To a temporary name, synced, renamed; where the path is a link, what it points to; a file that holds just that
/// already is left as it is. Throws StoreFailure where the disk is full or fails, else EnvironmentError.
void write_file(const std::filesystem::path& path, const std::string& content);

/// A file that a user named: written where a link points, and into a device. Throws UsageError for a folder or a pipe,
/// else as write_file.
void write_output(const std::filesystem::path& path, const std::string& content);

/// As write_file, but not synced and without a word if it fails: a stalled or full disk must not stop the loop.
void write_status_file(const std::filesystem::path& path, const std::string& content);

/// At the end of a file, unsynced; made where it is missing. Throws as write_file.
void append_file(const std::filesystem::path& path, const std::string& text);

/// Makes a file's name in its folder durable, where the file system can.
void sync_folder(const std::filesystem::path& folder);

}  // namespace proctor
