#define PCRE2_CODE_UNIT_WIDTH 8
#include "worker/tokenizer/oniguruma.h"

#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "sharding/protocol/error.h"
#include "worker/tokenizer/unicode.h"
#include "worker/tokenizer/unicode_tables.h"

// Circled and squared letters, which are alphabetic and no letters.
#define PROCTOR_CIRCLED R"(\x{24b6}-\x{24e9}\x{1f130}-\x{1f149}\x{1f150}-\x{1f169}\x{1f170}-\x{1f189})"
#define PROCTOR_WORD R"(\p{L}\p{M}\p{Nl}\p{Nd}\p{Pc})" PROCTOR_CIRCLED

namespace proctor {
namespace {

// What stands between [ and ] for each class.
constexpr std::string_view kPosixWord = PROCTOR_WORD;
constexpr std::string_view kWord =
    PROCTOR_WORD R"(\x{b2}\x{b3}\x{b9}\x{bc}-\x{be})";  // \w outside of sets has these too
constexpr std::string_view kSpace =
    R"(\t-\r\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
constexpr std::string_view kHex = "0-9a-fA-F", kDigit = R"(\p{Nd})";

struct Named {
  std::string_view name, inside;
};
constexpr Named kPosix[] = {{"alnum", R"(\p{Alphabetic}\p{Nd})"},
                            {"alpha", R"(\p{Alphabetic})"},
                            {"ascii", R"(\x{0}-\x{7f})"},
                            {"blank", R"(\p{Zs}\t)"},
                            {"cntrl", R"(\p{Cc})"},
                            {"digit", kDigit},
                            {"graph", R"(\p{L}\p{M}\p{N}\p{P}\p{S}\p{Cf}\p{Co})"},
                            {"lower", R"(\p{Lowercase})"},
                            {"print", R"(\p{L}\p{M}\p{N}\p{P}\p{S}\p{Cf}\p{Co}\p{Zs})"},
                            {"punct", R"(\p{P}\p{S})"},
                            {"space", kSpace},
                            {"upper", R"(\p{Uppercase})"},
                            {"word", kPosixWord},
                            {"xdigit", kHex}};
/// Long names of general categories, which PCRE2 does not know.
constexpr std::pair<std::string_view, std::string_view> kCategories[] = {{"letter", "L"},
                                                                         {"casedletter", "LC"},
                                                                         {"uppercaseletter", "Lu"},
                                                                         {"lowercaseletter", "Ll"},
                                                                         {"titlecaseletter", "Lt"},
                                                                         {"modifierletter", "Lm"},
                                                                         {"otherletter", "Lo"},
                                                                         {"mark", "M"},
                                                                         {"nonspacingmark", "Mn"},
                                                                         {"spacingmark", "Mc"},
                                                                         {"enclosingmark", "Me"},
                                                                         {"number", "N"},
                                                                         {"decimalnumber", "Nd"},
                                                                         {"letternumber", "Nl"},
                                                                         {"othernumber", "No"},
                                                                         {"punctuation", "P"},
                                                                         {"connectorpunctuation", "Pc"},
                                                                         {"dashpunctuation", "Pd"},
                                                                         {"openpunctuation", "Ps"},
                                                                         {"closepunctuation", "Pe"},
                                                                         {"initialpunctuation", "Pi"},
                                                                         {"finalpunctuation", "Pf"},
                                                                         {"otherpunctuation", "Po"},
                                                                         {"symbol", "S"},
                                                                         {"mathsymbol", "Sm"},
                                                                         {"currencysymbol", "Sc"},
                                                                         {"modifiersymbol", "Sk"},
                                                                         {"othersymbol", "So"},
                                                                         {"separator", "Z"},
                                                                         {"spaceseparator", "Zs"},
                                                                         {"lineseparator", "Zl"},
                                                                         {"paragraphseparator", "Zp"},
                                                                         {"other", "C"},
                                                                         {"control", "Cc"},
                                                                         {"format", "Cf"},
                                                                         {"surrogate", "Cs"},
                                                                         {"privateuse", "Co"},
                                                                         {"unassigned", "Cn"}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_octal(char c) { return c >= '0' && c <= '7'; }
bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// As Unicode compares names of properties.
std::string loose(std::string_view name) {
  std::string out;
  for (char c : name)
    if (c != ' ' && c != '_' && c != '-') out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool is_script(const std::string& name) {
  const std::string pattern = "\\p{sc:" + name + "}";
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF, &error, &offset, nullptr);
  pcre2_code_free(code);
  return code != nullptr;
}

std::string braced(std::uint32_t code_point) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "\\x{%x}", code_point);
  return text.data();
}

/// Ranges of a table whose names `wanted` takes, to stand between [ and ].
template <class Wanted>
std::string members(std::span<const NamedRange> table, Wanted wanted) {
  std::vector<CodePointRange> ranges;
  for (const NamedRange& one : table) {
    if (!wanted(std::string(one.name))) continue;
    if (!ranges.empty() && ranges.back().last + 1 == one.first)
      ranges.back().last = one.last;
    else
      ranges.push_back({one.first, one.last});
  }
  std::string out;
  for (const auto& [first, last] : ranges) out += braced(first) + (last > first ? "-" + braced(last) : "");
  return out;
}

/// \p{NAME} of PCRE2, whose tables may be those of Unicode 14, and what is newer. A script is one of its own; PCRE2's
/// plain \p{Han} would have what several scripts share.
std::string property_class(const std::string& name, Properties properties) {
  const std::string plain = loose(name);
  const bool category = plain.size() <= 2 && std::string_view("lmnpszc").find(plain[0]) != std::string_view::npos;
  if (properties == Properties::older)
    return is_script(name) && !category ? "\\p{sc:" + name + "}" : "\\p{" + name + "}";
  if (category)
    return "\\p{" + name + "}" +
           members(later_categories(), [&](const std::string& of) { return loose(of).starts_with(plain); });
  const auto same = [&](const std::string& of) { return loose(of) == plain; };
  if (is_script(name)) return "\\p{sc:" + name + "}" + members(later_scripts(), same);
  return "\\p{" + name + "}" + members(later_properties(), same);
}

/// Each \p{...} of a pattern for PCRE2, all of which stand between [ and ], made whole.
std::string with_whole_properties(const std::string& pattern, Properties properties) {
  std::string out;
  for (std::size_t at = 0; at < pattern.size();) {
    const std::size_t end = pattern.compare(at, 3, "\\p{") == 0 ? pattern.find('}', at) : std::string::npos;
    if (end != std::string::npos) {
      out += property_class(pattern.substr(at + 3, end - at - 3), properties);
      at = end + 1;
    } else {
      const std::size_t taken = pattern[at] == '\\' && at + 1 < pattern.size() ? 2 : 1;
      out += pattern.substr(at, taken);
      at += taken;
    }
  }
  return out;
}

/// Of one character: what may stand between [ and ], `inside`; or, where that does not do, a pattern that takes one.
struct Set {
  std::string inside;
  std::vector<std::string> others;  ///< patterns of one character each, of which one has to match

  std::string text() const {
    if (others.empty()) return inside.empty() ? "(?!)" : "[" + inside + "]";
    std::string all = "(?:";
    if (!inside.empty()) all += "[" + inside + "]|";
    for (std::size_t i = 0; i < others.size(); ++i) all += (i ? "|" : "") + others[i];
    return all + ")";
  }
  std::string negated() const {
    if (others.empty()) return inside.empty() ? "(?s:.)" : "[^" + inside + "]";
    return "(?:(?!" + text() + ")(?s:.))";
  }
};

class Translator {
 public:
  explicit Translator(const std::string& pattern) : pattern_(pattern) {}

  std::string run(Properties properties) {
    while (at_ < pattern_.size()) step();
    return with_whole_properties(out_, properties);
  }

 private:
  [[noreturn]] void refuse(std::size_t at, const std::string& what) const {
    throw InputError("regular expression '" + pattern_ + "' at " + std::to_string(at) + ": " + what);
  }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0'; }
  bool looking_at(std::string_view text) const { return std::string_view(pattern_).substr(at_).starts_with(text); }
  void atom(const std::string& text) {
    atom_ = out_.size();
    out_ += text;
  }

  void step() {
    switch (peek()) {
      case '\\':
        return escape();
      case '[':
        return atom(set());
      case '(':
        return group();
      case ')':
        if (groups_.empty()) refuse(at_, "unmatched close parenthesis");
        atom_ = groups_.back().begin;
        caseless_ = groups_.back().caseless;
        groups_.pop_back();
        out_ += pattern_[at_++];
        return;
      case '{':
        return interval();
      case '*':
      case '+':
      case '?':
        out_ += pattern_[at_++];
        if (peek() == '?' || peek() == '+') out_ += pattern_[at_++];  // reluctant, possessive
        return;
      case '^':
      case '$':
      case '|':
      case '.':
        atom(std::string(1, pattern_[at_++]));
        return;
      default:
        literal();
    }
  }

  /// A character that stands for itself. Folding that changes the number of characters is Oniguruma's alone.
  void literal() {
    const std::size_t begin = at_++;
    while (continues(peek())) ++at_;
    const std::string text = pattern_.substr(begin, at_ - begin);
    static constexpr std::string_view kFolds[] = {"ss", "ff", "fi", "fl", "st"};
    if (caseless_ &&
        (text.size() > 1 || std::ranges::find(kFolds, loose(pattern_.substr(begin, 2))) != std::end(kFolds)))
      refuse(begin, "letters that fold to several, or outside ASCII, where case is ignored, are not supported");
    atom(text);
  }

  // ---- escapes

  std::uint32_t number(std::size_t begin, std::size_t most, bool (*is)(char), int base) {
    std::string digits;
    while (digits.size() < most && is(peek())) digits += pattern_[at_++];
    if (digits.empty()) refuse(begin, "an escape without its digits");
    const unsigned long value = std::stoul(digits, nullptr, base);
    if (value > 0x10FFFF) refuse(begin, "a code point that is too large");
    return static_cast<std::uint32_t>(value);
  }

  /// \xC3\xA9: the bytes of one character.
  std::string bytes(std::size_t begin, std::uint32_t first) {
    const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC2 ? 1 : -1;
    std::uint32_t code_point = first & (0x3Fu >> std::max(more, 0));
    for (int i = 0; i < more; ++i) {
      if (!looking_at("\\x")) refuse(begin, "too short multibyte code string");
      at_ += 2;
      const std::uint32_t byte = number(begin, 2, is_hex, 16);
      if ((byte & 0xC0) != 0x80) refuse(begin, "invalid code point value");
      code_point = code_point << 6 | (byte & 0x3F);
    }
    if (more < 0) refuse(begin, "invalid code point value");
    return braced(code_point);
  }

  /// Of an escape that is one character, in a set and outside; at_ is behind the letter `c`. Nothing: it is none.
  std::string character(std::size_t begin, char c) {
    switch (c) {
      case 't':
        return R"(\t)";
      case 'n':
        return R"(\n)";
      case 'r':
        return R"(\r)";
      case 'f':
        return R"(\x{c})";
      case 'v':
        return R"(\x{b})";
      case 'a':
        return R"(\x{7})";
      case 'e':
        return R"(\x{1b})";
      case 'x': {
        if (peek() == '{') {
          ++at_;
          const std::uint32_t value = number(begin, 8, is_hex, 16);
          if (peek() != '}') refuse(begin, "only one code point may stand in \\x{}");
          ++at_;
          return braced(value);
        }
        const std::uint32_t value = number(begin, 2, is_hex, 16);
        return value < 0x80 ? braced(value) : bytes(begin, value);
      }
      case 'u':
        return braced(number(begin, 4, is_hex, 16));
      case '0':
        --at_;
        return braced(number(begin, 3, is_octal, 8));
      case 'c':
      case 'C':
      case 'M':
      case 'o':
        refuse(begin, std::string("\\") + c + " is not supported");
      default:
        break;
    }
    return "";
  }

  /// \p{...}, \P{...}: between [ and ]. `not_it`: all but the class.
  std::string property(std::size_t begin, bool& not_it) {
    const std::size_t end = pattern_.find('}', at_);
    if (end == std::string::npos) refuse(begin, "a property without its closing brace");
    std::string name = pattern_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    if (name.starts_with("^")) {
      not_it = !not_it;
      name.erase(0, 1);
    }
    const std::string plain = loose(name);
    for (const Named& posix : kPosix)
      if (plain == posix.name) return std::string(posix.inside);
    for (const auto& [category, brief] : kCategories)
      if (plain == category) return brief == "LC" ? R"(\p{Lu}\p{Ll}\p{Lt})" : "\\p{" + std::string(brief) + "}";
    if (plain == "any") return R"(\x{0}-\x{10ffff})";
    return "\\p{" + name + "}";  // a general category, a script; PCRE2 refuses others
  }

  static std::string_view class_of(char c) {
    switch (c) {
      case 'w':
      case 'W':
        return kWord;
      case 's':
      case 'S':
        return kSpace;
      case 'd':
      case 'D':
        return kDigit;
      case 'h':
      case 'H':
        return kHex;
      default:
        return "";
    }
  }

  void escape() {
    const std::size_t begin = at_++;
    if (at_ >= pattern_.size()) refuse(begin, "end pattern at escape");
    const char c = pattern_[at_++];
    const std::string word = "[" + std::string(kWord) + "]";
    if (const std::string_view held = class_of(c); !held.empty())
      return atom((c == 'W' || c == 'S' || c == 'D' || c == 'H' ? "[^" : "[") + std::string(held) + "]");
    if ((c == 'p' || c == 'P') && peek() == '{') {
      bool not_it = c == 'P';
      const std::string held = property(begin, not_it);
      return atom((not_it ? "[^" : "[") + held + "]");
    }
    if (c == 'b') return atom("(?:(?<=" + word + ")(?!" + word + ")|(?<!" + word + ")(?=" + word + "))");
    if (c == 'B') return atom("(?:(?<=" + word + ")(?=" + word + ")|(?<!" + word + ")(?!" + word + "))");
    if (c == 'A' || c == 'z' || c == 'G' || c == 'X' || c == 'K') return atom(std::string("\\") + c);
    if (c == 'Z') return atom(R"((?=\n?\z))");
    if (c == 'R') return atom(R"((?>\r\n|[\n-\r\x{85}\x{2028}\x{2029}]))");
    if (c == 'N') return atom(R"([^\n])");
    if (c == 'O') return atom("(?s:.)");
    if (c == 'y' || c == 'Y' || c == 'g') refuse(begin, std::string("\\") + c + " is not supported");
    if (c == 'k') {
      const std::size_t end = pattern_.find('>', at_);
      if (peek() != '<' || end == std::string::npos) refuse(begin, "\\k is supported as \\k<name> only");
      atom("\\k" + pattern_.substr(at_, end + 1 - at_));
      at_ = end + 1;
      return;
    }
    if (is_digit(c) && c != '0') return reference(begin, c);
    if (const std::string one = character(begin, c); !one.empty()) return atom(one);
    if (is_letter(c)) return atom(std::string(1, c));  // it stands for itself
    std::string text(1, c);
    while (continues(peek())) text += pattern_[at_++];
    atom(text.size() > 1 ? text : "\\" + text);
  }

  /// Two octal digits more make a character, else it is a group.
  void reference(std::size_t begin, char first) {
    if (is_octal(first) && is_octal(peek()) && is_octal(peek(1))) {
      --at_;
      return atom(braced(number(begin, 3, is_octal, 8)));
    }
    std::string digits(1, first);
    while (is_digit(peek())) digits += pattern_[at_++];
    atom("\\g{" + digits + "}");
  }

  // ---- repetition

  /// {n}, {n,}, {,n}, {n,m}; anything else is a brace. Behind one, ? and + are repetitions of their own, but for
  /// {n,m}?.
  void interval() {
    std::size_t end = at_ + 1;
    std::string least, most;
    while (end < pattern_.size() && is_digit(pattern_[end])) least += pattern_[end++];
    const bool comma = end < pattern_.size() && pattern_[end] == ',';
    if (comma) ++end;
    while (comma && end < pattern_.size() && is_digit(pattern_[end])) most += pattern_[end++];
    const bool repeats = end < pattern_.size() && pattern_[end] == '}' && !(least.empty() && most.empty());
    if (!repeats) {
      ++at_;
      return atom(R"(\{)");
    }
    at_ = end + 1;
    const std::string bounds = "{" + (least.empty() ? "0" : least) + (comma ? "," + most : "") + "}";
    if (peek() == '?' && comma) {
      ++at_;
      out_ += bounds + "?";
      return;
    }
    out_.insert(atom_, "(?:");
    out_ += bounds + ")";
  }

  // ---- groups

  struct Open {
    std::size_t begin;
    bool caseless;
  };

  void group() {
    const std::size_t begin = at_++, start = out_.size();
    const bool before = caseless_;
    if (peek() != '?') {
      out_ += '(';
      groups_.push_back({start, before});
      return;
    }
    ++at_;
    if (peek() == '#') {
      while (at_ < pattern_.size() && peek() != ')') at_ += peek() == '\\' ? 2 : 1;
      if (at_ >= pattern_.size()) refuse(begin, "end pattern in group");
      ++at_;
      return;
    }
    for (const char* same : {":", "=", "!", ">", "<=", "<!"})
      if (looking_at(same)) {
        out_ += std::string("(?") + same;
        at_ += std::string_view(same).size();
        groups_.push_back({start, before});
        return;
      }
    if (peek() == '<' && (is_letter(peek(1)) || peek(1) == '_')) {
      const std::size_t end = pattern_.find('>', at_);
      if (end == std::string::npos) refuse(begin, "a name without its end");
      out_ += "(?" + pattern_.substr(at_, end + 1 - at_);
      at_ = end + 1;
      groups_.push_back({start, before});
      return;
    }
    options(begin, start);
  }

  /// (?i), (?i:...), (?-i): i and x are PCRE2's; m is its s.
  void options(std::size_t begin, std::size_t start) {
    std::string flags;
    bool on = true, caseless = caseless_;
    for (; at_ < pattern_.size() && peek() != ')' && peek() != ':'; ++at_) {
      const char flag = peek();
      if (flag == '-')
        on = false, flags += flag;
      else if (flag == 'i')
        caseless = on, flags += flag;
      else if (flag == 'x')
        flags += flag;
      else if (flag == 'm')
        flags += 's';
      else
        refuse(begin, std::string("group option '") + flag + "' is not supported");
    }
    if (at_ >= pattern_.size()) refuse(begin, "end pattern in group");
    const bool whole = pattern_[at_++] == ')';
    out_ += "(?" + flags + (whole ? ")" : ":");
    if (!whole) groups_.push_back({start, caseless_});
    caseless_ = caseless;
  }

  // ---- sets

  std::string set() {
    const std::size_t begin = at_++;
    const bool negated = peek() == '^';
    if (negated) ++at_;
    std::vector<Set> both(1);  // parts between && have all to match
    for (bool first = true;; first = false) {
      if (at_ >= pattern_.size()) refuse(begin, "premature end of char-class");
      if (peek() == ']' && !first) break;
      if (looking_at("&&")) {
        at_ += 2;
        both.emplace_back();
        continue;
      }
      if (peek() == '[') {
        part_in_brackets(both.back());
        continue;
      }
      element(both.back(), begin);
    }
    ++at_;
    if (both.size() == 1) return negated ? both[0].negated() : both[0].text();
    std::string all;
    for (std::size_t i = 0; i + 1 < both.size(); ++i) all += "(?=" + both[i].text() + ")";
    all = "(?:" + all + both.back().text() + ")";
    return negated ? "(?:(?!" + all + ")(?s:.))" : all;
  }

  /// [:alpha:], or a set within the set.
  void part_in_brackets(Set& into) {
    if (looking_at("[:")) {
      const std::size_t end = pattern_.find(":]", at_ + 2);
      std::string name = end == std::string::npos ? "" : pattern_.substr(at_ + 2, end - at_ - 2);
      const bool not_it = name.starts_with("^");
      if (not_it) name.erase(0, 1);
      for (const Named& posix : kPosix) {
        if (name != posix.name) continue;
        if (not_it)
          into.others.push_back("[^" + std::string(posix.inside) + "]");
        else
          into.inside += posix.inside;
        at_ = end + 2;
        return;
      }
    }
    into.others.push_back(set());
  }

  /// A character, a range or a class.
  void element(Set& into, std::size_t begin) {
    const std::string from = one_character(into, begin);
    if (from.empty()) return;
    if (peek() != '-' || peek(1) == ']' || peek(1) == '\0' || peek(1) == '[' ||
        std::string_view(pattern_).substr(at_ + 1).starts_with("&&")) {
      into.inside += from;
      return;
    }
    ++at_;
    Set classes;
    const std::string to = one_character(classes, begin);
    if (to.empty()) refuse(begin, "char-class value at end of range");
    into.inside += from + "-" + to;
  }

  /// What stands for one character; "" where it was a class, which is in `into` then.
  std::string one_character(Set& into, std::size_t begin) {
    const char c = pattern_[at_++];
    if (c != '\\') {
      std::string text(1, c);
      while (continues(peek())) text += pattern_[at_++];
      if (caseless_ && text.size() > 1)
        refuse(begin, "letters outside ASCII, where case is ignored, are not supported");
      return text.size() == 1 && !is_letter(c) && !is_digit(c) ? braced(static_cast<unsigned char>(c)) : text;
    }
    if (at_ >= pattern_.size()) refuse(begin, "end pattern at escape");
    const char named = pattern_[at_++];
    if (std::string_view held = class_of(named); !held.empty()) {
      if (held == kWord) held = kPosixWord;  // in a set they are one
      if (named == 'W' || named == 'S' || named == 'D' || named == 'H')
        into.others.push_back("[^" + std::string(held) + "]");
      else
        into.inside += held;
      return "";
    }
    if ((named == 'p' || named == 'P') && peek() == '{') {
      bool not_it = named == 'P';
      const std::string held = property(begin, not_it);
      if (not_it)
        into.others.push_back("[^" + held + "]");
      else
        into.inside += held;
      return "";
    }
    if (named == 'b') return R"(\x{8})";
    if (named == 'R' || named == 'X') refuse(begin, std::string("\\") + named + " in a char-class is not supported");
    if (is_digit(named) && is_octal(named)) {
      --at_;
      return braced(number(begin, 3, is_octal, 8));
    }
    if (const std::string one = character(begin, named); !one.empty()) return one;
    std::string text(1, named);
    while (continues(peek())) text += pattern_[at_++];
    return text.size() == 1 && !is_letter(named) && !is_digit(named) ? braced(static_cast<unsigned char>(named)) : text;
  }

  const std::string& pattern_;
  std::string out_;
  std::size_t at_ = 0, atom_ = 0;  // atom_: where what a repetition repeats begins in out_
  std::vector<Open> groups_;
  bool caseless_ = false;
};

}  // namespace

std::string pcre2_of_oniguruma(const std::string& pattern, Properties properties) {
  return Translator(pattern).run(properties);
}

bool has_newer_characters(std::string_view text) {
  static const std::vector<bool> newer = [] {
    std::vector<bool> of(0x110000);
    for (const auto& table : {later_categories(), later_scripts(), later_properties()})
      for (const NamedRange& one : table) std::fill(of.begin() + one.first, of.begin() + one.last + 1, true);
    return of;
  }();
  constexpr unsigned char kFirst = 0xC8;  // leads U+0200, below which there is none
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    length = 1;
    if (static_cast<unsigned char>(text[at]) < kFirst) continue;
    if (newer[code_point_at(text, at, length)]) return true;
  }
  return false;
}

}  // namespace proctor
