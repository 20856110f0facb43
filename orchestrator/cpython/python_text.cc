#include "orchestrator/cpython/python_text.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <iterator>

namespace proctor::python {
namespace {

char32_t decode(std::string_view text, std::size_t at, std::size_t& length) {
  utf8proc_int32_t code_point = 0;
  const auto n = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                                  static_cast<utf8proc_ssize_t>(text.size() - at), &code_point);
  length = n > 0 ? static_cast<std::size_t>(n) : 1;
  return n > 0 ? static_cast<char32_t>(code_point) : 0xFFFD;
}

std::size_t before(std::string_view text, std::size_t at) {
  do --at;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  return at;
}

bool printable(char32_t c) {
  if (c == ' ') return true;
  const auto of = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return !(of == UTF8PROC_CATEGORY_CN || (of >= UTF8PROC_CATEGORY_ZS && of <= UTF8PROC_CATEGORY_CO));
}

std::string string_repr(std::string_view text) {
  const char quote = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  char buffer[16];
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    const char32_t c = decode(text, at, length);
    if (c == '\\' || c == static_cast<char32_t>(quote))
      out += '\\', out += static_cast<char>(c);
    else if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\t')
      out += "\\t";
    else if (printable(c))
      out += text.substr(at, length);
    else
      std::snprintf(buffer, sizeof buffer,
                    c < 0x100     ? "\\x%02x"
                    : c < 0x10000 ? "\\u%04x"
                                  : "\\U%08x",
                    static_cast<unsigned>(c)),
          out += buffer;
  }
  return out + quote;
}

void json_string(std::string& out, std::string_view text, Ascii ascii) {
  char buffer[16];
  out += '"';
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    const char32_t c = decode(text, at, length);
    if (c == '"')
      out += "\\\"";
    else if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\t')
      out += "\\t";
    else if (c == '\f')
      out += "\\f";
    else if (c == '\b')
      out += "\\b";
    else if (c < 0x20 || (c > 0x7F && ascii == Ascii::escape)) {
      if (c >= 0x10000) {
        const unsigned v = static_cast<unsigned>(c) - 0x10000;
        std::snprintf(buffer, sizeof buffer, "\\u%04x\\u%04x", 0xD800 + (v >> 10), 0xDC00 + (v & 0x3FF));
      } else {
        std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c));
      }
      out += buffer;
    } else {
      out += text.substr(at, length);
    }
  }
  out += '"';
}

void dump(std::string& out, const Json& value, Ascii ascii, int indent, int depth) {
  const auto line = [&](int level) {
    if (indent >= 0) out += '\n', out.append(static_cast<std::size_t>(indent * level), ' ');
  };
  const bool object = value.is_object();
  if (!object && !value.is_array()) {
    if (value.is_string()) return json_string(out, value.get_ref<const std::string&>(), ascii);
    if (value.is_number_float()) {
      const double number = value.get<double>();
      out += std::isnan(number)   ? "NaN"
             : std::isinf(number) ? (number > 0 ? "Infinity" : "-Infinity")
                                  : float_repr(number);
      return;
    }
    out += value.dump();
    return;
  }
  out += object ? '{' : '[';
  bool first = true;
  for (const auto& [key, item] : value.items()) {
    if (!first) out += indent >= 0 ? "," : ", ";
    first = false;
    line(depth + 1);
    if (object) json_string(out, key, ascii), out += ": ";
    dump(out, item, ascii, indent, depth + 1);
  }
  if (!first) line(depth);
  out += object ? '}' : ']';
}

void append(std::string& out, char32_t c) {
  utf8proc_uint8_t buffer[4];
  const auto n = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), buffer);
  out.append(reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(n));
}

/// Unicode's Cased: letters with a case, and a few symbols and modifiers that have one.
bool is_cased(char32_t c) {
  const auto of = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  if (of == UTF8PROC_CATEGORY_LU || of == UTF8PROC_CATEGORY_LL || of == UTF8PROC_CATEGORY_LT) return true;
  return c == 0xAA || c == 0xBA || (c >= 0x2B0 && c <= 0x2B8) || c == 0x2C0 || c == 0x2C1 ||
         (c >= 0x2E0 && c <= 0x2E4) || c == 0x345 || c == 0x37A || (c >= 0x1D2C && c <= 0x1D6A) || c == 0x1D78 ||
         (c >= 0x1D9B && c <= 0x1DBF) || c == 0x2071 || c == 0x207F || (c >= 0x2090 && c <= 0x209C) ||
         (c >= 0x2160 && c <= 0x217F) || (c >= 0x24B6 && c <= 0x24E9) || c == 0x2C7C || c == 0x2C7D || c == 0xA69C ||
         c == 0xA69D || c == 0xA770 || (c >= 0xA7F2 && c <= 0xA7F4) || c == 0xA7F8 || c == 0xA7F9 ||
         (c >= 0xAB5C && c <= 0xAB5F) || c == 0xAB69 || (c >= 0x1F130 && c <= 0x1F149) ||
         (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

/// Unicode's Case_Ignorable: marks, formats, modifiers, and what may stand within a word.
bool is_case_ignorable(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      break;
  }
  static constexpr char32_t kWithin[] = {0x27,   0x2E,   0x3A,   0xB7,   0x387,  0x55F,  0x5F4,  0x2018, 0x2019,
                                         0x2024, 0x2027, 0xFE13, 0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};
  return std::ranges::find(kWithin, c) != std::end(kWithin);
}

/// Whether the capital sigma between `begin` and `end` ends a word: a cased letter before it, none behind it, what is
/// case-ignorable not counted.
bool is_final_sigma(std::string_view text, std::size_t begin, std::size_t end) {
  std::size_t length = 0;
  for (;;) {
    if (begin == 0) return false;
    begin = before(text, begin);
    const char32_t c = decode(text, begin, length);
    if (is_case_ignorable(c)) continue;
    if (!is_cased(c)) return false;
    break;
  }
  for (; end < text.size(); end += length) {
    const char32_t c = decode(text, end, length);
    if (!is_case_ignorable(c)) return !is_cased(c);
  }
  return true;
}

/// Of a title case letter, too, which utf8proc leaves as it is.
char32_t simple_upper(char32_t c) { return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))); }

struct SeveralUpper {
  char32_t from;
  std::array<char32_t, 3> to;
};
/// Code points whose upper case is several, ascending (Unicode's SpecialCasing.txt, the lines without a condition).
constexpr SeveralUpper kSeveralUpper[] = {{0xDF, {0x53, 0x53}},
                                          {0x149, {0x2BC, 0x4E}},
                                          {0x1F0, {0x4A, 0x30C}},
                                          {0x390, {0x399, 0x308, 0x301}},
                                          {0x3B0, {0x3A5, 0x308, 0x301}},
                                          {0x587, {0x535, 0x552}},
                                          {0x1E96, {0x48, 0x331}},
                                          {0x1E97, {0x54, 0x308}},
                                          {0x1E98, {0x57, 0x30A}},
                                          {0x1E99, {0x59, 0x30A}},
                                          {0x1E9A, {0x41, 0x2BE}},
                                          {0x1F50, {0x3A5, 0x313}},
                                          {0x1F52, {0x3A5, 0x313, 0x300}},
                                          {0x1F54, {0x3A5, 0x313, 0x301}},
                                          {0x1F56, {0x3A5, 0x313, 0x342}},
                                          {0x1F80, {0x1F08, 0x399}},
                                          {0x1F81, {0x1F09, 0x399}},
                                          {0x1F82, {0x1F0A, 0x399}},
                                          {0x1F83, {0x1F0B, 0x399}},
                                          {0x1F84, {0x1F0C, 0x399}},
                                          {0x1F85, {0x1F0D, 0x399}},
                                          {0x1F86, {0x1F0E, 0x399}},
                                          {0x1F87, {0x1F0F, 0x399}},
                                          {0x1F88, {0x1F08, 0x399}},
                                          {0x1F89, {0x1F09, 0x399}},
                                          {0x1F8A, {0x1F0A, 0x399}},
                                          {0x1F8B, {0x1F0B, 0x399}},
                                          {0x1F8C, {0x1F0C, 0x399}},
                                          {0x1F8D, {0x1F0D, 0x399}},
                                          {0x1F8E, {0x1F0E, 0x399}},
                                          {0x1F8F, {0x1F0F, 0x399}},
                                          {0x1F90, {0x1F28, 0x399}},
                                          {0x1F91, {0x1F29, 0x399}},
                                          {0x1F92, {0x1F2A, 0x399}},
                                          {0x1F93, {0x1F2B, 0x399}},
                                          {0x1F94, {0x1F2C, 0x399}},
                                          {0x1F95, {0x1F2D, 0x399}},
                                          {0x1F96, {0x1F2E, 0x399}},
                                          {0x1F97, {0x1F2F, 0x399}},
                                          {0x1F98, {0x1F28, 0x399}},
                                          {0x1F99, {0x1F29, 0x399}},
                                          {0x1F9A, {0x1F2A, 0x399}},
                                          {0x1F9B, {0x1F2B, 0x399}},
                                          {0x1F9C, {0x1F2C, 0x399}},
                                          {0x1F9D, {0x1F2D, 0x399}},
                                          {0x1F9E, {0x1F2E, 0x399}},
                                          {0x1F9F, {0x1F2F, 0x399}},
                                          {0x1FA0, {0x1F68, 0x399}},
                                          {0x1FA1, {0x1F69, 0x399}},
                                          {0x1FA2, {0x1F6A, 0x399}},
                                          {0x1FA3, {0x1F6B, 0x399}},
                                          {0x1FA4, {0x1F6C, 0x399}},
                                          {0x1FA5, {0x1F6D, 0x399}},
                                          {0x1FA6, {0x1F6E, 0x399}},
                                          {0x1FA7, {0x1F6F, 0x399}},
                                          {0x1FA8, {0x1F68, 0x399}},
                                          {0x1FA9, {0x1F69, 0x399}},
                                          {0x1FAA, {0x1F6A, 0x399}},
                                          {0x1FAB, {0x1F6B, 0x399}},
                                          {0x1FAC, {0x1F6C, 0x399}},
                                          {0x1FAD, {0x1F6D, 0x399}},
                                          {0x1FAE, {0x1F6E, 0x399}},
                                          {0x1FAF, {0x1F6F, 0x399}},
                                          {0x1FB2, {0x1FBA, 0x399}},
                                          {0x1FB3, {0x391, 0x399}},
                                          {0x1FB4, {0x386, 0x399}},
                                          {0x1FB6, {0x391, 0x342}},
                                          {0x1FB7, {0x391, 0x342, 0x399}},
                                          {0x1FBC, {0x391, 0x399}},
                                          {0x1FC2, {0x1FCA, 0x399}},
                                          {0x1FC3, {0x397, 0x399}},
                                          {0x1FC4, {0x389, 0x399}},
                                          {0x1FC6, {0x397, 0x342}},
                                          {0x1FC7, {0x397, 0x342, 0x399}},
                                          {0x1FCC, {0x397, 0x399}},
                                          {0x1FD2, {0x399, 0x308, 0x300}},
                                          {0x1FD3, {0x399, 0x308, 0x301}},
                                          {0x1FD6, {0x399, 0x342}},
                                          {0x1FD7, {0x399, 0x308, 0x342}},
                                          {0x1FE2, {0x3A5, 0x308, 0x300}},
                                          {0x1FE3, {0x3A5, 0x308, 0x301}},
                                          {0x1FE4, {0x3A1, 0x313}},
                                          {0x1FE6, {0x3A5, 0x342}},
                                          {0x1FE7, {0x3A5, 0x308, 0x342}},
                                          {0x1FF2, {0x1FFA, 0x399}},
                                          {0x1FF3, {0x3A9, 0x399}},
                                          {0x1FF4, {0x38F, 0x399}},
                                          {0x1FF6, {0x3A9, 0x342}},
                                          {0x1FF7, {0x3A9, 0x342, 0x399}},
                                          {0x1FFC, {0x3A9, 0x399}},
                                          {0xFB00, {0x46, 0x46}},
                                          {0xFB01, {0x46, 0x49}},
                                          {0xFB02, {0x46, 0x4C}},
                                          {0xFB03, {0x46, 0x46, 0x49}},
                                          {0xFB04, {0x46, 0x46, 0x4C}},
                                          {0xFB05, {0x53, 0x54}},
                                          {0xFB06, {0x53, 0x54}},
                                          {0xFB13, {0x544, 0x546}},
                                          {0xFB14, {0x544, 0x535}},
                                          {0xFB15, {0x544, 0x53B}},
                                          {0xFB16, {0x54E, 0x546}},
                                          {0xFB17, {0x544, 0x53D}}};

}  // namespace

std::size_t length(std::string_view text) {
  std::size_t n = 0;
  for (char c : text) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return n;
}

bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool begins_with_space(std::string_view text) {
  std::size_t length = 0;
  return !text.empty() && is_space(decode(text, 0, length));
}
bool ends_with_space(std::string_view text) {
  std::size_t length = 0;
  return !text.empty() && is_space(decode(text, before(text, text.size()), length));
}

std::string strip(std::string_view text) {
  std::size_t length = 0;
  while (begins_with_space(text)) decode(text, 0, length), text.remove_prefix(length);
  while (ends_with_space(text)) text = text.substr(0, before(text, text.size()));
  return std::string(text);
}

std::size_t count_words(std::string_view text) {
  std::size_t runs = 0;
  bool in_space = false;
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    const bool space = is_space(decode(text, at, length));
    runs += space && !in_space;
    in_space = space;
  }
  return runs + 1;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> words;
  bool in_word = false;
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    const bool space = is_space(decode(text, at, length));
    if (!space && !in_word) words.emplace_back();
    if (!space) words.back() += text.substr(at, length);
    in_word = !space;
  }
  return words;
}

std::string lower(std::string_view text) {
  std::string out;
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    const char32_t c = decode(text, at, length);
    if (c == 0x130)
      out += "i\xCC\x87";
    else if (c == 0x3A3)
      append(out, is_final_sigma(text, at, at + length) ? 0x3C2 : 0x3C3);
    else
      append(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  }
  return out;
}

std::string capitalize(std::string_view text) {
  if (text.empty()) return "";
  std::size_t length = 0;
  const auto first = static_cast<utf8proc_int32_t>(decode(text, 0, length));
  const std::string small = lower(text.substr(0, length)), big = upper(text.substr(0, length));
  std::string title;
  constexpr utf8proc_int32_t kSharpS = 0xDF;  // utf8proc knows a capital one, Python writes Ss
  append(title, static_cast<char32_t>(first == kSharpS ? first : utf8proc_totitle(first)));
  if (title == text.substr(0, length)) {  // no title case of its own; of a ligature the first letter alone is large
    std::size_t one = 0;
    (void)decode(big, 0, one);
    title = big.substr(0, one) + lower(big.substr(one));
  }
  return title + lower(text).substr(small.size());
}

std::string upper(std::string_view text) {
  std::string out;
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    const char32_t c = decode(text, at, length);
    const auto several = std::ranges::lower_bound(kSeveralUpper, c, {}, &SeveralUpper::from);
    if (several == std::end(kSeveralUpper) || several->from != c) {
      append(out, simple_upper(c));
      continue;
    }
    for (const char32_t one : several->to)
      if (one) append(out, one);
  }
  return out;
}

/// Shortest digits that read back; exponent form below 1e-4 and from 1e16 on.
std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  const double size = std::fabs(value);
  const auto form =
      size != 0 && (size < 1e-4 || size >= 1e16) ? std::chars_format::scientific : std::chars_format::fixed;
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, form).ptr;
  std::string text(buffer, end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string str(const Json& value) { return value.is_string() ? value.get<std::string>() : repr(value); }

std::string repr(const Json& value) {
  if (value.is_null()) return "None";
  if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
  if (value.is_string()) return string_repr(value.get_ref<const std::string&>());
  if (value.is_number_float()) return float_repr(value.get<double>());
  if (!value.is_structured()) return value.dump();
  std::string out = value.is_object() ? "{" : "[";
  bool first = true;
  for (const auto& [key, item] : value.items()) {
    if (!first) out += ", ";
    first = false;
    if (value.is_object()) out += string_repr(key) + ": ";
    out += repr(item);
  }
  return out + (value.is_object() ? "}" : "]");
}

std::string json_dumps(const Json& value, Ascii ascii, int indent) {
  std::string out;
  dump(out, value, ascii, indent, 0);
  return out;
}

}  // namespace proctor::python
