#include "sharding/protocol/input_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace proctor {

std::optional<std::string> why_no_file(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  switch (status.type()) {
    case fs::file_type::not_found:
      return std::nullopt;
    case fs::file_type::regular:
      break;
    case fs::file_type::directory:
      return "is a folder";
    case fs::file_type::fifo:
    case fs::file_type::socket:
      return "is a pipe, and whoever writes it may never come; give a file";
    case fs::file_type::block:
    case fs::file_type::character:
      return "is a device; give a file";
    default:
      return error ? error.message() : "is no file";
  }
  if (::access(path.c_str(), R_OK) != 0) return std::string("cannot be read: ") + std::strerror(errno);
  return std::nullopt;
}

}  // namespace proctor
