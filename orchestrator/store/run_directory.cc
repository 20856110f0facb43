#include "orchestrator/store/run_directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "sharding/protocol/descriptor.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

/// The new run names images that lie in the old one's folder; each has them, under one name of the file or two.
void give_images(const fs::path& from, const fs::path& to) {
  std::error_code error;
  if (!fs::exists(from, error)) return;
  fs::create_directories(to, error);
  for (const fs::directory_entry& entry : fs::directory_iterator(from, error)) {
    const fs::path name = to / entry.path().filename();
    fs::create_hard_link(entry.path(), name, error);
    if (error) fs::copy_file(entry.path(), name, error);
    if (error) throw EnvironmentError(name.string() + ": cannot be written: " + error.message());
  }
}

}  // namespace

void throw_errno(const fs::path& path, const char* what) {
  const std::string message = path.string() + ": " + what + ": " + std::strerror(errno);
  if (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG) throw StoreFailure(message);
  throw EnvironmentError(message);
}

RunDirectory::RunDirectory(const fs::path& root) : root_(root.lexically_normal()) {
  if (!root_.has_filename()) root_ = root_.parent_path();  // "runs/x/"
  std::error_code none;
  if (fs::is_symlink(root_, none) && fs::exists(root_, none))
    root_ = fs::canonical(root_);  // --fresh renames the folder
}

void RunDirectory::refuse_foreign() const {
  std::error_code error;
  if (!fs::exists(root_, error) || fs::exists(marker(), error)) return;
  if (!fs::is_directory(root_, error)) throw UsageError(root_.string() + ": is no folder; give --out another name");
  if (fs::exists(suite(), error) && fs::exists(database(), error)) return;  // made before there was a marker
  fs::directory_iterator entries(root_, error);
  if (error) throw UsageError(root_.string() + ": cannot be read: " + error.message());
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    const bool made_first = name == logs().filename() || name == images().filename() ||
                            name.starts_with(owner().filename().string()) ||
                            name.starts_with(marker().filename().string());  // killed before the marker had its name
    const bool results = name == "results" || name == "samples" || name == "responses";
    if (!made_first && !(results && fs::is_empty(entry.path(), error)))
      throw UsageError(root_.string() + ": is no run directory, and holds " + name +
                       "; a run takes an empty folder, or its own: give --out another");
  }
}

void RunDirectory::create() const {
  std::error_code error;
  fs::create_directories(root_, error);
  if (!error && !fs::exists(marker(), error))
    write_file(marker(), "a run directory of proctor, format " + std::to_string(kRunFormat) + "\n");
  for (const fs::path& folder : {root_, root_ / "results", root_ / "samples", root_ / "responses", logs()}) {
    fs::create_directories(folder, error);
    if (!error) continue;
    if (error == std::errc::filename_too_long || error == std::errc::not_a_directory)
      throw UsageError(folder.string() + ": cannot be made: " + error.message() + "; give --out another name");
    errno = error.value();
    throw_errno(folder, "cannot be made");
  }
}

void RunDirectory::set_aside() const {
  if (!fs::exists(root_)) return;
  for (int i = 1;; ++i) {
    const fs::path other = root_.string() + ".old-" + std::to_string(i);
    if (fs::exists(other)) continue;
    std::error_code error;
    fs::rename(root_, other, error);
    if (error) throw EnvironmentError(root_.string() + ": cannot be renamed: " + error.message());
    fs::remove(other / owner().filename(), error);  // the caller's
    give_images(other / images().filename(), images());
    return;
  }
}

void sync_folder(const fs::path& folder) {
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.value() >= 0) (void)::fsync(opened.value());  // some file systems refuse it for folders
}

namespace {

enum class Sync { yes, no };

void write_all(int descriptor, const std::string& content, const fs::path& path) {
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::write(descriptor, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno(path, "cannot be written");
    done += static_cast<std::size_t>(n);
  }
}

/// A run that is printed again writes hundreds of files that are there: reading one is cheaper than syncing it.
bool holds(const fs::path& path, const std::string& content) {
  std::error_code none;
  if (fs::file_size(path, none) != content.size() || none) return false;
  std::ifstream stream(path, std::ios::binary);
  std::array<char, 1 << 16> chunk;
  std::size_t same = 0;
  while (same < content.size()) {
    const std::size_t size = std::min(chunk.size(), content.size() - same);
    if (!stream.read(chunk.data(), static_cast<std::streamsize>(size))) return false;
    if (content.compare(same, size, chunk.data(), size) != 0) return false;
    same += size;
  }
  return true;
}

/// What a path stands for; a name that only links have is kept.
fs::path behind_links(fs::path path) {
  constexpr int kMostLinks = 40;
  std::error_code none;
  for (int i = 0; i < kMostLinks && fs::is_symlink(path, none); ++i) {
    const fs::path target = fs::read_symlink(path, none);
    path = target.is_absolute() ? target : path.parent_path() / target;
  }
  return path;
}

void write_and_rename(const fs::path& named, const std::string& content, Sync sync) {
  const fs::path path = behind_links(named);
  const fs::path temporary = path.string() + ".tmp";
  std::error_code ignored;
  fs::create_directories(path.parent_path(), ignored);
  const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file.value() < 0) throw_errno(temporary, "cannot be written");
  write_all(file.value(), content, temporary);
  if (sync == Sync::yes && ::fsync(file.value()) != 0) throw_errno(temporary, "cannot be synced");
  if (::rename(temporary.c_str(), path.c_str()) != 0) throw_errno(path, "cannot be put in place");
  if (sync == Sync::yes) sync_folder(path.parent_path());
}

}  // namespace

void append_file(const fs::path& path, const std::string& text) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (file.value() < 0) throw_errno(path, "cannot be opened");
  write_all(file.value(), text, path);
}

void write_file(const fs::path& path, const std::string& content) {
  if (!holds(path, content)) write_and_rename(path, content, Sync::yes);
}

void write_output(const fs::path& path, const std::string& content) try {
  std::error_code none;
  const fs::file_status status = fs::status(path, none);
  if (fs::is_directory(status)) throw UsageError(path.string() + ": is a folder; give the name of a file");
  if (fs::is_fifo(status) || fs::is_socket(status))
    throw UsageError(path.string() + ": is a pipe, and whoever reads it may never come; give the name of a file");
  if (!fs::is_character_file(status) && !fs::is_block_file(status)) return write_file(path, content);
  const Descriptor device(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (device.value() < 0) throw_errno(path, "cannot be opened");
  write_all(device.value(), content, path);
} catch (const StoreFailure& error) {  // no run stops for it
  throw EnvironmentError(error.what());
}

void write_status_file(const fs::path& path, const std::string& content) {
  try {
    write_and_rename(path, content, Sync::no);
  } catch (const EnvironmentError&) {
  } catch (const StoreFailure&) {
  }
}

}  // namespace proctor
