#include "orchestrator/images/base64.h"

#include <cstdint>

namespace proctor {
namespace {

/// Six bits; -1 for any other character.
int bits_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

}  // namespace

std::optional<std::string> decode_base64(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t held = 0;
  std::size_t digits = 0, fillers = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == ' ' || c == '\t') continue;
    fillers += c == '=';
    if (c == '=') continue;
    const int bits = bits_of(c);
    if (bits < 0 || fillers > 0) return std::nullopt;
    held = held << 6 | static_cast<std::uint32_t>(bits);
    if (++digits % 4 == 0) {
      for (const int shift : {16, 8, 0}) bytes += static_cast<char>(held >> shift & 0xFF);
      held = 0;
    }
  }
  const std::size_t rest = digits % 4;
  if (rest == 1 || fillers > 2 || (fillers > 0 && rest + fillers != 4)) return std::nullopt;
  if (rest >= 2) bytes += static_cast<char>(held >> (rest == 2 ? 4 : 10) & 0xFF);
  if (rest == 3) bytes += static_cast<char>(held >> 2 & 0xFF);
  return bytes;
}

}  // namespace proctor
