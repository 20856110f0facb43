#include "orchestrator/cpython/python_literal.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

#include "orchestrator/cpython/python_text.h"

namespace proctor::python {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Decimals of other scripts as ASCII digits; what is not ASCII otherwise makes no number.
std::string ascii_digits(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    utf8proc_int32_t c = 0;
    const auto bytes = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                                        static_cast<utf8proc_ssize_t>(text.size() - at), &c);
    at += bytes > 0 ? static_cast<std::size_t>(bytes) : 1;
    if (bytes > 0 && c < 0x80) {
      out += static_cast<char>(c);
    } else if (bytes > 0 && utf8proc_category(c) == UTF8PROC_CATEGORY_ND) {
      int before = 0;  // a script's ten digits stand in a row, their zero first
      while (utf8proc_category(c - before - 1) == UTF8PROC_CATEGORY_ND) ++before;
      out += static_cast<char>('0' + before % 10);
    } else {
      out += '?';
    }
  }
  return out;
}

/// Digits with single underscores between them, from `at`; what they are without, and `at` behind them.
std::string digits_at(std::string_view text, std::size_t& at) {
  std::string out;
  while (at < text.size() && (is_digit(text[at]) || (text[at] == '_' && !out.empty() && is_digit(text[at - 1]) &&
                                                     at + 1 < text.size() && is_digit(text[at + 1])))) {
    if (text[at] != '_') out += text[at];
    ++at;
  }
  return out;
}

/// An unsigned decimal without underscores, or "" where the text is none.
std::string plain_decimal(std::string_view text) {
  std::size_t at = 0;
  std::string out = digits_at(text, at);
  bool some = !out.empty();
  if (at < text.size() && text[at] == '.') {
    const std::string fraction = digits_at(text, ++at);
    some = some || !fraction.empty();
    out += "." + fraction;
  }
  if (some && at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    out += text[at++];
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) out += text[at++];
    const std::string power = digits_at(text, at);
    some = !power.empty();
    out += power;
  }
  return some && at == text.size() ? out : "";
}

void append_utf8(std::string& out, std::uint32_t code_point) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto count = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), bytes.data());
  out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(count));
}

/// Reads the elements of a list one by one.
class ListReader {
 public:
  explicit ListReader(std::string_view text) : text_(text) {}

  std::optional<std::vector<std::string>> run() {
    std::vector<std::string> out;
    if (!take('[')) return std::nullopt;
    for (bool more = !take(']'); more; more = !take(']')) {
      std::optional<std::string> one = element();
      if (!one) return std::nullopt;
      out.push_back(std::move(*one));
      if (!take(',') && peek() != ']') return std::nullopt;
    }
    skip();
    return at_ == text_.size() ? std::optional(out) : std::nullopt;
  }

 private:
  void skip() { at_ = std::min(text_.find_first_not_of(" \t\n\r\f", at_), text_.size()); }
  char peek() { return skip(), at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  std::optional<std::string> element() {
    if (peek() != '\'' && peek() != '"') return number();
    std::string out;
    while (peek() == '\'' || peek() == '"') {  // texts that stand side by side are one
      const char mark = text_[at_++];
      while (at_ < text_.size() && text_[at_] != mark)
        if (text_[at_] == '\n' || !character(out)) return std::nullopt;
      if (at_++ >= text_.size()) return std::nullopt;
    }
    return out;
  }

  std::optional<std::string> number() {
    const std::size_t begin = at_;
    const std::size_t end = std::min(text_.find_first_of(",] \t\n", begin), text_.size());
    const std::string found(text_.substr(begin, end - begin));
    const auto value = to_float(found);
    if (!value || found.find_first_not_of("+-0123456789.eE") != std::string::npos) return std::nullopt;
    at_ = end;
    return found.find_first_of(".eE") == std::string::npos ? found : float_repr(*value);
  }

  /// One character or escape; false where Python refuses it.
  bool character(std::string& out) {
    const char c = text_[at_++];
    if (c != '\\') return out += c, true;
    if (at_ >= text_.size()) return false;
    const char named = text_[at_++];
    constexpr std::string_view kNames = "\\'\"abfnrtv", kMeant = "\\'\"\a\b\f\n\r\t\v";
    if (const auto found = kNames.find(named); found != std::string_view::npos) return out += kMeant[found], true;
    if (named == '\n') return true;  // the line goes on
    if (named == 'x') return hex(2, out);
    if (named == 'u') return hex(4, out);
    if (named == 'U') return hex(8, out);
    if (named >= '0' && named <= '7') return octal(out);
    return out += '\\', out += named, true;
  }

  bool hex(std::size_t digits, std::string& out) {
    const std::string found(text_.substr(at_, digits));
    if (found.size() != digits || found.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) return false;
    at_ += digits;
    const auto value = static_cast<std::uint32_t>(std::stoul(found, nullptr, 16));
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return false;
    return append_utf8(out, value), true;
  }

  bool octal(std::string& out) {
    std::uint32_t value = 0;
    --at_;
    for (int i = 0; i < 3 && at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '7'; ++i)
      value = value * 8 + static_cast<std::uint32_t>(text_[at_++] - '0');
    return append_utf8(out, value), true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::optional<double> to_float(std::string_view text) {
  const std::string clean = lower(ascii_digits(strip(text)));
  std::string_view rest = clean;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  const bool named = rest == "inf" || rest == "infinity" || rest == "nan";
  const std::string plain = named ? std::string(rest) : plain_decimal(rest);
  if (plain.empty()) return std::nullopt;
  const double value = std::strtod(plain.c_str(), nullptr);
  return negative ? -value : value;
}

std::optional<std::vector<std::string>> list_literal(std::string_view text) { return ListReader(text).run(); }

}  // namespace proctor::python
