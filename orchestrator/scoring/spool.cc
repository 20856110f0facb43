#include "orchestrator/scoring/spool.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "orchestrator/store/run_directory.h"

namespace proctor {
namespace {

constexpr std::size_t kBuffer = 1u << 20;  // bytes; what fits is never written

int open_unnamed(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  const int file = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0) return file;
  std::string name = (folder / ".spool-XXXXXX").string();  // a file system without files that have no name
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named < 0) throw_errno(name, "cannot be made");
  ::unlink(name.c_str());
  return named;
}

}  // namespace

Spool::Place Spool::put(std::string_view text) {
  const Place place{written_ + buffer_.size(), text.size()};
  buffer_ += text;
  if (buffer_.size() >= kBuffer) flush();
  return place;
}

void Spool::flush() {
  if (file_.value() < 0) file_ = Descriptor(open_unnamed(folder_));
  for (std::size_t done = 0; done < buffer_.size();) {
    const ssize_t n = ::write(file_.value(), buffer_.data() + done, buffer_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw_errno(folder_, "cannot be written to");
    done += static_cast<std::size_t>(n);
  }
  written_ += buffer_.size();
  buffer_.clear();
}

std::string Spool::text(std::span<const Place> places) {
  std::string all;
  std::uint64_t size = 0;
  for (const Place& place : places) size += place.size;
  all.reserve(size);
  if (file_.value() < 0) {
    for (const Place& place : places) all.append(buffer_, place.offset, place.size);
    return all;
  }
  flush();
  void* const mapped = ::mmap(nullptr, written_, PROT_READ, MAP_SHARED | MAP_POPULATE, file_.value(), 0);
  if (mapped == MAP_FAILED) throw_errno(folder_, "cannot be read from");
  for (const Place& place : places) all.append(static_cast<const char*>(mapped) + place.offset, place.size);
  ::munmap(mapped, written_);
  return all;
}

}  // namespace proctor
