#include "orchestrator/images/image_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "orchestrator/metrics/hashes.h"
#include "orchestrator/store/run_directory.h"
#include "sharding/images/image_header.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/input_file.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;

std::string read_bytes(const std::string& path, std::uint64_t size) {
  std::string bytes(size, '\0');
  std::ifstream stream(path, std::ios::binary);
  if (!stream.read(bytes.data(), static_cast<std::streamsize>(size)))
    throw InputError("cannot be read to its end; is a copy of it under way?");
  return bytes;
}

ImageFile look_at(const std::string& path, std::uint64_t size) {
  if (size == 0) throw InputError("is empty; is a download not complete?");
  if (size > static_cast<std::uint64_t>(kMaxImageBytes))
    throw InputError("has " + std::to_string(size >> 20) + " MiB, past the " + std::to_string(kMaxImageBytes >> 20) +
                     " MiB that an image may have");
  const std::string bytes = read_bytes(path, size);
  const ImageHeader header = read_image_header(bytes);
  return {xxh3_hex(bytes), header.height, header.width, header.swaps_sides()};
}

/// A line of the list: stamp, hash, height, width, whether it lies, path.
std::string line_of(const std::string& path, const std::string& stamp, const ImageFile& file) {
  return stamp + "\t" + file.hash + "\t" + std::to_string(file.height) + "\t" + std::to_string(file.width) + "\t" +
         (file.lies ? "1" : "0") + "\t" + path + "\n";
}

}  // namespace

ImageFiles::ImageFiles(fs::path folder) : folder_(folder.empty() ? folder : fs::absolute(folder).lexically_normal()) {
  if (!folder_.empty()) read_list();
}

void ImageFiles::read_list() {
  std::ifstream stream(list());
  for (std::string line; std::getline(stream, line);) {
    std::istringstream fields(line);
    std::string path;
    Known known;
    int lies = 0;
    if (std::getline(fields, known.stamp, '\t') && std::getline(fields, known.file.hash, '\t') &&
        fields >> known.file.height >> known.file.width >> lies && fields.get() == '\t' && std::getline(fields, path)) {
      known.file.lies = lies != 0;
      known_[path] = std::move(known);
    }
  }
}

const ImageFile& ImageFiles::at(const std::string& path) {
  if (const auto seen = seen_.find(path); seen != seen_.end()) return *seen->second;
  if (const auto why = why_no_file(path)) throw InputError(*why);
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0)
    throw InputError("is not there; a path is relative to the folder of the data file");
  const std::string stamp = std::to_string(found.st_size) + " " + std::to_string(found.st_mtim.tv_sec) + "." +
                            std::to_string(found.st_mtim.tv_nsec);
  Known& known = known_[path];
  if (known.stamp != stamp) known = {stamp, look_at(path, static_cast<std::uint64_t>(found.st_size))};
  return *(seen_[path] = &known.file);
}

Image ImageFiles::image(const std::string& path, bool upright) {
  const ImageFile& file = at(path);
  const bool turned = upright && file.lies;
  return {file.hash, path, turned ? file.width : file.height, turned ? file.height : file.width};
}

std::string ImageFiles::store(std::string_view bytes) {
  if (folder_.empty()) throw EnvironmentError("an image that comes as bytes has no place: there is no home folder");
  std::string hash = xxh3_hex(bytes);
  const fs::path path = folder_ / hash;
  std::error_code none;
  if (fs::file_size(path, none) == bytes.size() && !none) return hash;
  fs::create_directories(folder_, none);
  const fs::path begun = path.string() + "." + std::to_string(::getpid());
  std::ofstream stream(begun, std::ios::binary);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  stream.close();
  if (!stream) throw_errno(begun, "cannot be written");
  fs::rename(begun, path, none);
  if (none) throw EnvironmentError(path.string() + ": cannot be written: " + none.message());
  return hash;
}

void ImageFiles::keep() const {
  if (seen_.empty() || folder_.empty()) return;
  std::error_code none;
  fs::create_directories(folder_, none);
  std::string text;
  for (const auto& [path, known] : known_)
    if (path.find('\n') == std::string::npos && !known.stamp.empty()) text += line_of(path, known.stamp, known.file);
  write_status_file(list(), text);
}

}  // namespace proctor
