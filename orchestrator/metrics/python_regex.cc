#include "orchestrator/metrics/python_regex.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

// What Python's classes hold, to stand between [ and ]; PCRE2's own differ, and from version to version.
constexpr std::string_view kWord = R"(\p{L}\p{N}_)";  // str.isalnum() and the underscore
constexpr std::string_view kSpace =
    R"(\t-\r\x{1c}-\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";  // isspace()
constexpr std::string_view kDigit = R"(\p{Nd})";  // isdecimal()

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_octal(char c) { return c >= '0' && c <= '7'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

std::string braced(std::uint32_t code_point) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "\\x{%x}", code_point);
  return text.data();
}

/// A class between [ and ]: what it holds, and classes of which it holds everything else.
struct Set {
  bool negated = false;
  std::string inside;
  std::vector<std::string_view> without;  // [\S\n]: everything but white space, and a line feed

  /// A character of the set.
  std::string text() const {
    if (without.empty()) return (negated ? "[^" : "[") + inside + "]";
    if (!negated) {
      std::string all = "(?:" + (inside.empty() ? std::string() : "[" + inside + "]|");
      for (std::size_t i = 0; i < without.size(); ++i) all += (i ? "|[^" : "[^") + std::string(without[i]) + "]";
      return all + ")";
    }
    std::string all = "(?:" + (inside.empty() ? std::string() : "(?![" + inside + "])");
    for (std::size_t i = 0; i + 1 < without.size(); ++i) all += "(?=[" + std::string(without[i]) + "])";
    return all + "[" + std::string(without.back()) + "])";
  }
};

class Translator {
 public:
  Translator(const std::string& pattern, const std::string& where) : pattern_(pattern), where_(where) {}

  std::string run() {
    while (at_ < pattern_.size()) step();
    return out_;
  }

 private:
  [[noreturn]] void refuse(std::size_t at, const std::string& why) const {
    throw UsageError(where_ + ": regular expression '" + pattern_ + "' at " + std::to_string(at) + ": " + why);
  }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0'; }
  bool ends() const { return at_ >= pattern_.size(); }

  void step() {
    switch (peek()) {
      case '\\':
        return escape();
      case '[':
        return set();
      case '(':
        return group();
      case '{':
        return brace();
      case '*':
      case '+':
      case '?':
        out_ += pattern_[at_++];
        if (peek() == '+' || peek() == '?') out_ += pattern_[at_++];  // possessive (since Python 3.11), lazy
        if (peek() == '*' || peek() == '+' || peek() == '?') refuse(at_, "multiple repeat");
        return;
      default:
        out_ += pattern_[at_++];
    }
  }

  /// The code point that an escape of a number names; `at_` is behind it.
  std::uint32_t hex(std::size_t digits, const char* what) {
    std::uint32_t value = 0;
    const std::size_t begin = at_;
    for (std::size_t i = 0; i < digits; ++i, ++at_) {
      if (!is_hex(peek())) refuse(begin, std::string("incomplete escape ") + what);
      value = value * 16 + static_cast<std::uint32_t>(std::stoul(std::string(1, peek()), nullptr, 16));
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) refuse(begin, std::string("bad escape ") + what);
    return value;
  }

  /// Of an escape that is a single character, the same inside and outside of a set; false: it is none.
  bool character(char c, std::string& to) {
    switch (c) {
      case 'a':
        return to += R"(\x{7})", true;
      case 'f':
        return to += R"(\x{c})", true;
      case 'n':
        return to += R"(\n)", true;
      case 'r':
        return to += R"(\r)", true;
      case 't':
        return to += R"(\t)", true;
      case 'v':
        return to += R"(\x{b})", true;
      case 'x':
        return to += braced(hex(2, "\\x")), true;
      case 'u':
        return to += braced(hex(4, "\\u")), true;
      case 'U':
        return to += braced(hex(8, "\\U")), true;
      default:
        return false;
    }
  }

  static std::string_view class_of(char c) {
    return c == 'w' || c == 'W'   ? kWord
           : c == 's' || c == 'S' ? kSpace
           : c == 'd' || c == 'D' ? kDigit
                                  : std::string_view();
  }

  void escape() {
    const std::size_t begin = at_++;
    if (ends()) refuse(begin, "bad escape at its end");
    const char c = pattern_[at_++];
    const std::string word = "[" + std::string(kWord) + "]";
    if (const std::string_view held = class_of(c); !held.empty()) {
      out_ += (c == 'W' || c == 'S' || c == 'D' ? "[^" : "[") + std::string(held) + "]";
    } else if (c == 'b') {
      out_ += "(?:(?<=" + word + ")(?!" + word + ")|(?<!" + word + ")(?=" + word + "))";
    } else if (c == 'B') {
      out_ += R"((?!\A\z))";  // it matches nowhere in an empty text (until Python 3.14)
      out_ += "(?:(?<=" + word + ")(?=" + word + ")|(?<!" + word + ")(?!" + word + "))";
    } else if (c == 'A' || c == 'Z') {
      out_ += c == 'A' ? R"(\A)" : R"(\z)";
    } else if (c == '0') {
      std::uint32_t value = 0;
      for (int i = 0; i < 2 && is_octal(peek()); ++i)
        value = value * 8 + static_cast<std::uint32_t>(pattern_[at_++] - '0');
      out_ += braced(value);
    } else if (is_digit(c)) {
      reference(c);
    } else if (!character(c, out_)) {
      if (is_letter(c)) refuse(begin, std::string("bad escape \\") + c + " (Python's re has none)");
      out_ += '\\', out_ += c;
      for (; (static_cast<unsigned char>(peek()) & 0xC0) == 0x80; ++at_) out_ += pattern_[at_];
      if ((static_cast<unsigned char>(c) & 0x80) != 0) out_.erase(out_.rfind('\\'), 1);  // of a letter outside ASCII
    }
  }

  /// Three octal digits are a character, one or two digits a group.
  void reference(char first) {
    if (is_octal(first) && first <= '3' && is_octal(peek()) && is_octal(peek(1))) {
      const auto value = static_cast<std::uint32_t>((first - '0') * 64 + (peek() - '0') * 8 + (peek(1) - '0'));
      at_ += 2;
      out_ += braced(value);
      return;
    }
    std::string number(1, first);
    if (is_digit(peek())) number += pattern_[at_++];
    out_ += "\\g{" + number + "}";
  }

  /// One element between [ and ]: a character (true), to `to`; or a class.
  bool element(Set& set, std::string& to) {
    const std::size_t begin = at_;
    const char c = pattern_[at_++];
    if (c != '\\') {
      if (c == '[' || c == '^' || c == '-' || c == ']') to += '\\';
      to += c;
      for (; (static_cast<unsigned char>(peek()) & 0xC0) == 0x80; ++at_) to += pattern_[at_];
      return true;
    }
    if (ends()) refuse(begin, "bad escape at its end");
    const char named = pattern_[at_++];
    if (const std::string_view held = class_of(named); !held.empty()) {
      if (named == 'W' || named == 'S' || named == 'D')
        set.without.push_back(held);
      else
        set.inside += held;
      return false;
    }
    if (named == 'b') return to += R"(\x{8})", true;
    if (is_octal(named)) {
      auto value = static_cast<std::uint32_t>(named - '0');
      for (int i = 0; i < 2 && is_octal(peek()); ++i)
        value = value * 8 + static_cast<std::uint32_t>(pattern_[at_++] - '0');
      if (value > 0377) refuse(begin, "octal escape outside of range 0-0o377");
      return to += braced(value), true;
    }
    if (character(named, to)) return true;
    if (is_letter(named) || is_digit(named))
      refuse(begin, std::string("bad escape \\") + named + " (Python's re has none)");
    to += '\\', to += named;
    if ((static_cast<unsigned char>(named) & 0x80) != 0) to.erase(to.rfind('\\'), 1);
    for (; (static_cast<unsigned char>(peek()) & 0xC0) == 0x80; ++at_) to += pattern_[at_];
    return true;
  }

  void set() {
    const std::size_t begin = at_++;
    Set set;
    if (peek() == '^') set.negated = true, ++at_;
    for (bool first = true; first || peek() != ']'; first = false) {
      if (ends()) refuse(begin, "unterminated character set");
      std::string from, to;
      const std::size_t start = at_;
      const bool single = element(set, from);
      if (peek() == '-' && at_ + 1 < pattern_.size() && peek(1) != ']') {
        ++at_;
        if (!single || !element(set, to)) refuse(start, "bad character range");
        set.inside += from + "-" + to;
      } else {
        set.inside += from;
      }
      if (ends()) refuse(begin, "unterminated character set");
    }
    ++at_;
    out_ += set.text();
  }

  /// {m}, {m,}, {,n}, {m,n} repeat; anything else is a brace.
  void brace() {
    std::size_t end = at_ + 1;
    std::string least, most;
    while (end < pattern_.size() && is_digit(pattern_[end])) least += pattern_[end++];
    const bool comma = end < pattern_.size() && pattern_[end] == ',';
    if (comma) ++end;
    while (comma && end < pattern_.size() && is_digit(pattern_[end])) most += pattern_[end++];
    const bool repeats = end < pattern_.size() && pattern_[end] == '}' && (comma || !least.empty());
    if (!repeats) {
      out_ += R"(\{)";
      ++at_;
      return;
    }
    out_ += "{" + (least.empty() ? "0" : least) + (comma ? "," + most : "") + "}";
    at_ = end + 1;
    if (peek() == '+' || peek() == '?') out_ += pattern_[at_++];
    if (peek() == '*' || peek() == '+' || peek() == '?') refuse(at_, "multiple repeat");
  }

  void group() {
    const std::size_t begin = at_++;
    out_ += '(';
    if (peek() == '*') refuse(at_, "nothing to repeat");
    if (peek() != '?') return;
    const std::string_view rest = std::string_view(pattern_).substr(at_ + 1);
    for (const char* same : {"P<", "P=", ":", "=", "!", "<=", "<!", ">", "("})
      if (rest.starts_with(same)) {
        out_ += '?', out_ += same;
        at_ += 1 + std::string_view(same).size();
        return;
      }
    if (rest.starts_with("#")) {
      at_ = pattern_.find(')', at_);
      if (at_ == std::string::npos) refuse(begin, "missing ), unterminated comment");
      out_.pop_back();
      ++at_;
      return;
    }
    flags(begin);
  }

  /// (?i) and (?i:...), of the flags that mean the same in both.
  void flags(std::size_t begin) {
    std::size_t end = at_ + 1;
    std::string kept;
    for (; end < pattern_.size() && (is_letter(pattern_[end]) || pattern_[end] == '-'); ++end) {
      const char flag = pattern_[end];
      if (flag == 'u') continue;  // texts are Unicode in any case
      if (flag != 'i' && flag != 'm' && flag != 's' && flag != '-')
        refuse(end, std::string("flag '") + flag + "' is not supported (i, m, s and u are)");
      kept += flag;
    }
    if (end >= pattern_.size() || (pattern_[end] != ')' && pattern_[end] != ':') || end == at_ + 1)
      refuse(begin, "unknown extension " + pattern_.substr(begin, end - begin + 1));
    if (pattern_[end] == ')' && begin != 0) refuse(begin, "global flags not at the start of the expression");
    if (kept.find('-') != std::string::npos && pattern_[end] == ')') refuse(begin, "missing :");
    out_ += kept.empty() && pattern_[end] == ')' ? "?:" : "?" + kept;
    out_ += pattern_[end];
    at_ = end + 1;
  }

  const std::string& pattern_;
  const std::string& where_;
  std::string out_;
  std::size_t at_ = 0;
};

}  // namespace

std::string pcre2_pattern(const std::string& python_pattern, const std::string& where) {
  return Translator(python_pattern, where).run();
}

}  // namespace proctor
