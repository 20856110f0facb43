#include "worker/tokenizer/precompiled.h"

#include <cstring>

#include "sharding/protocol/error.h"
#include "worker/tokenizer/unicode.h"

namespace proctor {
namespace {

constexpr std::size_t kWholeGrapheme = 6;  // bytes; longer ones are looked up by code point

std::string from_base64(const std::string& text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=' || c == '\n') continue;
    const std::uint32_t value = c >= 'A' && c <= 'Z'   ? c - 'A'
                                : c >= 'a' && c <= 'z' ? c - 'a' + 26
                                : c >= '0' && c <= '9' ? c - '0' + 52
                                : c == '+'             ? 62
                                : c == '/'             ? 63
                                                       : 64;
    if (value == 64) throw InputError("precompiled_charsmap is not base64");
    bits = bits << 6 | value;
    count += 6;
    if (count >= 8) bytes += static_cast<char>(bits >> (count -= 8) & 0xFF);
  }
  return bytes;
}

// A unit of Darts-clone's double array: label and leaf flag, or a leaf's value; the offset to its children.
std::uint32_t label(std::uint32_t unit) { return unit & ((1u << 31) | 0xFF); }
bool has_leaf(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
std::uint32_t value(std::uint32_t unit) { return unit & ((1u << 31) - 1); }
std::uint32_t offset(std::uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }

}  // namespace

CharacterMap::CharacterMap(const std::string& base64) {
  const std::string bytes = from_base64(base64);
  std::uint32_t size = 0;
  if (bytes.size() < sizeof size) throw InputError("precompiled_charsmap is too short");
  std::memcpy(&size, bytes.data(), sizeof size);
  if (size % sizeof(std::uint32_t) != 0 || size == 0 || size > bytes.size() - sizeof size)
    throw InputError("precompiled_charsmap has a trie of " + std::to_string(size) + " bytes in " +
                     std::to_string(bytes.size()));
  units_.resize(size / sizeof(std::uint32_t));
  std::memcpy(units_.data(), bytes.data() + sizeof size, size);
  replacements_ = bytes.substr(sizeof size + size);
}

std::optional<std::string_view> CharacterMap::replacement(std::string_view chunk) const {
  std::uint32_t at = offset(units_[0]);
  for (const char c : chunk) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) break;
    at ^= byte;
    if (at >= units_.size() || label(units_[at]) != byte) return std::nullopt;
    const std::uint32_t unit = units_[at];
    at ^= offset(unit);
    if (at >= units_.size()) return std::nullopt;
    if (!has_leaf(unit)) continue;
    const std::size_t begin = value(units_[at]);  // of the shortest beginning, as Hugging Face
    if (begin >= replacements_.size()) return std::nullopt;
    return std::string_view(replacements_).substr(begin, replacements_.find('\0', begin) - begin);
  }
  return std::nullopt;
}

std::string CharacterMap::apply(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  for (std::size_t begin = 0; begin < text.size();) {
    const std::string_view grapheme = text.substr(begin, grapheme_length(text, begin));
    begin += grapheme.size();
    if (grapheme.size() < kWholeGrapheme)
      if (const auto whole = replacement(grapheme)) {
        out += *whole;
        continue;
      }
    for (std::size_t at = 0, length = 0; at < grapheme.size(); at += length) {
      code_point_at(grapheme, at, length);
      const std::string_view one = grapheme.substr(at, length);
      out += replacement(one).value_or(one);
    }
  }
  return out;
}

}  // namespace proctor
