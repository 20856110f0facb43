#include "sharding/protocol/input_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace proctor {

std::optional<std::string> why_no_file(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  switch (status.type()) {
    case fs::file_type::not_found:
      return is_there(path) ? std::optional<std::string>("is a link to nothing; is a download not complete?")
                            : std::nullopt;
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

bool is_there(const std::filesystem::path& path) {
  std::error_code none;
  return std::filesystem::symlink_status(path, none).type() != std::filesystem::file_type::not_found;
}

namespace {

/// Bytes of the sequence that begins at `at`, or 0: Unicode's table 3-7, without surrogates and overlong forms.
std::size_t utf8_sequence(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0;
  };
  const auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF)
    return follows(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF) && follows(2) ? 3 : 0;
  if (first >= 0xF0 && first <= 0xF4)
    return follows(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF) && follows(2) && follows(3) ? 4 : 0;
  return 0;
}

}  // namespace

std::optional<std::size_t> first_not_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_sequence(text, at);
    if (length == 0) return at;
    at += length;
  }
  return std::nullopt;
}

std::optional<std::string> why_not_utf8(std::string_view text) {
  const auto bad = first_not_utf8(text);
  if (!bad) return std::nullopt;
  const std::string_view before = text.substr(0, *bad);
  const std::size_t begin = before.rfind('\n') + 1;  // npos + 1 is 0
  std::size_t shown = std::max(begin, *bad - std::min<std::size_t>(*bad, 20));
  while (shown < *bad && (static_cast<unsigned char>(text[shown]) & 0xC0) == 0x80) ++shown;
  char byte[8];
  std::snprintf(byte, sizeof byte, "0x%02X", static_cast<unsigned>(static_cast<unsigned char>(text[*bad])));
  return "line " + std::to_string(1 + std::ranges::count(before, '\n')) + " is not UTF-8 (byte " + byte + " after '" +
         std::string(text.substr(shown, *bad - shown)) + "')";
}

}  // namespace proctor
