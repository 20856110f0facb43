// Image files small enough to be written by hand.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace proctor {

/// A grey PNG of this size as far as its header goes; its pixels are missing.
inline std::string tiny_png(std::uint32_t width, std::uint32_t height) {
  using namespace std::string_literals;
  const auto number = [](std::uint32_t value) {
    std::string bytes;
    for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(value >> shift & 0xFF);
    return bytes;
  };
  const std::string header = "IHDR" + number(width) + number(height) + "\x08\x00\x00\x00\x00"s;
  std::uint32_t crc = 0xFFFFFFFF;
  for (const char c : header) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
  }
  return "\x89PNG\r\n\x1A\n"s + number(13) + header + number(~crc);
}

}  // namespace proctor
