#include "orchestrator/run_directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sharding/error.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const char* what) {
  const std::string message = path.string() + ": " + what + ": " + std::strerror(errno);
  if (errno == ENOSPC || errno == EDQUOT || errno == EIO) throw StoreFailure(message);
  throw EnvironmentError(message);
}

std::string first_line(const fs::path& path) {
  std::ifstream stream(path);
  std::string line;
  std::getline(stream, line);
  return line;
}

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

/// Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat), "" if it is gone.
std::string start_time(long pid) {
  std::string line = first_line("/proc/" + std::to_string(pid) + "/stat");
  const auto end = line.rfind(')');
  if (end == std::string::npos) return "";
  std::istringstream fields(line.substr(end + 1));
  std::string field;
  for (int i = 0; i < 20; ++i) fields >> field;
  return field;
}

nlohmann::json this_owner() {
  return {{"host", host_name()},
          {"boot_id", first_line("/proc/sys/kernel/random/boot_id")},
          {"pid", getpid()},
          {"start_time", start_time(getpid())}};
}

bool gone(const nlohmann::json& owner) {
  return owner.value("boot_id", "") == first_line("/proc/sys/kernel/random/boot_id") &&
         start_time(owner.value("pid", 0L)) != owner.value("start_time", "");
}

}  // namespace

RunDirectory::RunDirectory(const fs::path& root) : root_(root.lexically_normal()) {
  if (!root_.has_filename()) root_ = root_.parent_path();  // "runs/x/"
}

void RunDirectory::create() const {
  std::error_code error;
  for (const fs::path& folder : {root_, root_ / "results", root_ / "samples", logs()}) {
    fs::create_directories(folder, error);
    if (error) throw EnvironmentError(folder.string() + ": cannot be made: " + error.message());
  }
}

void RunDirectory::set_aside() const {
  if (!fs::exists(root_)) return;
  const RunLock lock(*this);  // a live run keeps its directory
  for (int i = 1;; ++i) {
    const fs::path other = root_.string() + ".old-" + std::to_string(i);
    if (fs::exists(other)) continue;
    std::error_code error;
    fs::remove(owner(), error);
    fs::rename(root_, other, error);
    if (error) throw EnvironmentError(root_.string() + ": cannot be renamed: " + error.message());
    return;
  }
}

namespace {

enum class Sync { yes, no };

void write_and_rename(const fs::path& path, const std::string& content, Sync sync) {
  const fs::path temporary = path.string() + ".tmp";
  std::error_code ignored;
  fs::create_directories(path.parent_path(), ignored);
  const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) fail(temporary, "cannot be written");
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::write(descriptor, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int saved = errno;
      ::close(descriptor);
      errno = saved;
      fail(temporary, "cannot be written");
    }
    done += static_cast<std::size_t>(n);
  }
  const bool synced = sync == Sync::no || ::fsync(descriptor) == 0;
  ::close(descriptor);
  if (!synced) fail(temporary, "cannot be synced");
  if (::rename(temporary.c_str(), path.c_str()) != 0) fail(path, "cannot be put in place");
}

}  // namespace

void write_file(const fs::path& path, const std::string& content) { write_and_rename(path, content, Sync::yes); }

void write_status_file(const fs::path& path, const std::string& content) {
  try {
    write_and_rename(path, content, Sync::no);
  } catch (const EnvironmentError&) {
  } catch (const StoreFailure&) {
  }
}

RunLock::RunLock(const RunDirectory& directory) : path_(directory.owner()) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    const int descriptor = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor >= 0) {
      const std::string text = this_owner().dump(2) + "\n";
      const bool written = ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
      ::close(descriptor);
      if (!written) {
        fs::remove(path_);
        fail(path_, "cannot be written");
      }
      return;
    }
    if (errno != EEXIST) fail(path_, "cannot be made");
    std::ifstream stream(path_);
    const auto owner = nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
    if (!owner.is_object() || !gone(owner))
      throw EnvironmentError(
          directory.root().string() + ": another proctor has this run directory (" +
          (owner.is_object() ? "pid " + std::to_string(owner.value("pid", 0L)) + " on " + owner.value("host", "?")
                             : "its owner.json is not readable") +
          "); wait for it, or give --out another folder. If it is surely dead, remove " + path_.string());
    fs::remove(path_);
  }
  throw EnvironmentError(path_.string() + ": taken by another proctor at the same moment; try again");
}

RunLock::~RunLock() {
  std::error_code ignored;
  fs::remove(path_, ignored);
}

}  // namespace proctor
