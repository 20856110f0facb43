#include "worker/tokenizer/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <bitset>
#include <cstdlib>
#include <memory>

#include "sharding/protocol/error.h"
#include "worker/tokenizer/unicode_tables.h"

namespace proctor {
namespace {

/// Bytes of the valid sequence at bytes[at], or 0; then `bad` is the length of the maximal invalid part.
std::size_t valid_sequence(std::string_view bytes, std::size_t at, std::size_t& bad) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0;
  };
  const unsigned first = byte(at);
  bad = 1;
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xC2 && first <= 0xDF   ? 2
                             : (first & 0xF0) == 0xE0         ? 3
                             : first >= 0xF0 && first <= 0xF4 ? 4
                                                              : 0;
  if (length == 0) return 0;
  unsigned low = 0x80, high = 0xBF;
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  for (std::size_t i = 1; i < length; ++i) {
    const unsigned next = byte(at + i);
    if (at + i >= bytes.size() || next < low || next > high) {
      bad = i;
      return 0;
    }
    low = 0x80;
    high = 0xBF;
  }
  return length;
}

std::string mapped(std::string_view text, int options) {
  utf8proc_uint8_t* result = nullptr;
  const auto size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &result, static_cast<utf8proc_option_t>(options));
  if (size < 0) throw InputError(std::string("text cannot be normalized: ") + utf8proc_errmsg(size));
  std::string owned(reinterpret_cast<char*>(result), static_cast<std::size_t>(size));
  std::free(result);
  return owned;
}

template <class Map>
std::string each_code_point(std::string_view text, Map&& map) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) map(out, code_point_at(text, at, length));
  return out;
}

/// Asked of every character, so a bit each.
class CodePointSet {
 public:
  explicit CodePointSet(std::span<const CodePointRange> ranges) { add(ranges); }
  template <class Range>
  CodePointSet& add(std::span<const Range> ranges) {
    for (const Range& range : ranges)
      for (char32_t point = range.first; point <= range.last; ++point) (*bits_)[point] = true;
    return *this;
  }
  bool contains(char32_t point) const { return point < kPoints && (*bits_)[point]; }

 private:
  static constexpr std::size_t kPoints = 0x110000;
  std::unique_ptr<std::bitset<kPoints>> bits_ = std::make_unique<std::bitset<kPoints>>();
};

bool is_inert(char32_t point) {
  static const CodePointSet set = std::move(CodePointSet(inert_in_normal_forms()).add(later_categories()));
  return set.contains(point);
}

}  // namespace

char32_t code_point_at(std::string_view text, std::size_t at, std::size_t& length) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  if (byte(0) < 0x80) return length = 1, byte(0);
  if (byte(0) < 0xE0 && at + 1 < text.size()) return length = 2, (byte(0) & 0x1Fu) << 6 | (byte(1) & 0x3Fu);
  if (byte(0) < 0xF0 && at + 2 < text.size())
    return length = 3, (byte(0) & 0x0Fu) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu);
  if (at + 3 < text.size())
    return length = 4, (byte(0) & 7u) << 18 | (byte(1) & 0x3Fu) << 12 | (byte(2) & 0x3Fu) << 6 | (byte(3) & 0x3Fu);
  return length = 1, 0xFFFD;
}

std::size_t previous_code_point(std::string_view text, std::size_t at) {
  do --at;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  return at;
}

void append_utf8(std::string& text, char32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xC0 | c >> 6);
    text += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    text += static_cast<char>(0xE0 | c >> 12);
    text += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | c >> 18);
    text += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    text += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (c & 0x3F));
  }
}

bool is_valid_utf8(std::string_view text) {
  std::size_t bad = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = valid_sequence(text, at, bad);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

std::string utf8_lossy(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t at = 0, bad = 0; at < bytes.size();) {
    const std::size_t length = valid_sequence(bytes, at, bad);
    if (length)
      out.append(bytes.substr(at, length));
    else
      out.append("\xEF\xBF\xBD");
    at += length ? length : bad;
  }
  return out;
}

std::size_t grapheme_length(std::string_view text, std::size_t at) {
  std::size_t length = 0, next = 0;
  char32_t before = code_point_at(text, at, length);
  for (utf8proc_int32_t state = 0; at + length < text.size(); length += next) {
    const char32_t after = code_point_at(text, at + length, next);
    if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(before), static_cast<utf8proc_int32_t>(after),
                                         &state))
      break;
    before = after;
  }
  return length;
}

bool is_other(char32_t c) {
  static const CodePointSet set(rust_other());
  return set.contains(c);
}

bool is_ascii(std::string_view text) {
  for (char c : text)
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  return true;
}

bool is_white_space(char32_t c) {
  return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_word_character(char32_t c) {
  static const CodePointSet set(rust_word());
  return set.contains(c);
}

bool is_punctuation(char32_t c) {
  static const CodePointSet set(rust_punctuation());
  return set.contains(c);
}

bool is_numeric(char32_t c) {
  static const CodePointSet set(rust_numeric());
  return set.contains(c);
}

/// Between code points that its tables do not know, each of which stands alone.
std::string normalized(std::string_view text, NormalForm form) {
  if (is_ascii(text)) return std::string(text);
  const bool compatibility = form == NormalForm::nfkc || form == NormalForm::nfkd;
  const bool compose = form == NormalForm::nfc || form == NormalForm::nfkc;
  const int options =
      UTF8PROC_STABLE | (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) | (compatibility ? UTF8PROC_COMPAT : 0);
  std::string out;
  std::size_t begin = 0;
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    if (!is_inert(code_point_at(text, at, length))) continue;
    out += mapped(text.substr(begin, at - begin), options);
    out += text.substr(at, length);
    begin = at + length;
  }
  return out + mapped(text.substr(begin), options);
}

std::string lower_case(std::string_view text) {
  const auto later = later_lower_cases();
  return each_code_point(text, [&](std::string& out, char32_t c) {
    if (c == 0x130) return void(out += "i\xCC\x87");  // the one code point whose lower case is two
    if (c >= later.front().from)
      if (const auto found = std::ranges::lower_bound(later, c, {}, &LowerCase::from);
          found != later.end() && found->from == c)
        return append_utf8(out, found->to);
    append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  });
}

std::string without_nonspacing_marks(std::string_view text) {
  static const CodePointSet marks(rust_nonspacing_marks());
  return each_code_point(text, [](std::string& out, char32_t c) {
    if (!marks.contains(c)) append_utf8(out, c);
  });
}

std::string without_marks(std::string_view text) {
  static const CodePointSet marks(rust_marks());
  return each_code_point(text, [](std::string& out, char32_t c) {
    if (!marks.contains(c)) append_utf8(out, c);
  });
}

}  // namespace proctor
