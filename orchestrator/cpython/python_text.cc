#include "orchestrator/cpython/python_text.h"

#include <utf8proc.h>

#include <charconv>
#include <cmath>
#include <cstdio>

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

std::string lower(std::string_view text) {
  std::string out;
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    const auto c = static_cast<utf8proc_int32_t>(decode(text, at, length));
    utf8proc_uint8_t buffer[4];
    const auto n = utf8proc_encode_char(utf8proc_tolower(c), buffer);
    if (c == 0x130)
      out += "i\xCC\x87";
    else
      out.append(reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(n));
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
