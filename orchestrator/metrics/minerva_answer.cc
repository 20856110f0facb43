// The minerva form of an answer. What each step finds is lm-eval 0.4.13's (tasks/minerva_math/utils.py), which has it
// from Lewkowycz et al., "Solving Quantitative Reasoning Problems with Language Models" (2022), appendix D. Its regular
// expressions are scans here: linear, whatever the text.
#include <algorithm>
#include <string_view>
#include <utility>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/code_points.h"
#include "orchestrator/metrics/math_answer.h"

namespace proctor {
namespace {

constexpr std::size_t kNone = std::string::npos;

// In this order: what one leaves the next may find.
constexpr std::pair<std::string_view, std::string_view> kSubstitutions[] = {
    {"an ", ""}, {"a ", ""},       {".$", "$"},           {"\\$", ""},          {"\\ ", ""},
    {" ", ""},   {"mbox", "text"}, {",\\text{and}", ","}, {"\\text{and}", ","}, {"\\text{m}", "\\text{}"}};

// Units and other words, and the LaTeX among them; in this order too.
constexpr std::string_view kRemoved[] = {"square",       "ways",
                                         "integers",     "dollars",
                                         "mph",          "inches",
                                         "ft",           "hours",
                                         "km",           "units",
                                         "\\ldots",      "sue",
                                         "points",       "feet",
                                         "minutes",      "digits",
                                         "cents",        "degrees",
                                         "cm",           "gm",
                                         "pounds",       "meters",
                                         "meals",        "edges",
                                         "students",     "childrentickets",
                                         "multiples",    "\\text{s}",
                                         "\\text{.}",    "\\text{\ns}",
                                         "\\text{}^2",   "\\text{}^3",
                                         "\\text{\n}",   "\\text{}",
                                         "\\mathrm{th}", "^\\circ",
                                         "^{\\circ}",    "\\;",
                                         ",\\!",         "{,}",
                                         "\"",           "\\dots"};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_a_word(std::string_view expression) { return is_letter(expression.front()); }

/// Without the word where it stands alone: no letter, digit or underscore beside it, no backslash before it.
std::string without_lone_word(const std::string& text, std::string_view word) {
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = text.find(word); at != kNone; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if (is_word_before(text, at) || is_word_at(text, end) || (at > 0 && text[at - 1] == '\\')) continue;
    out.append(text, done, at - done);
    done = end;
  }
  return out.append(text, done);
}

/// Without the word wherever it stands, except in the names of LaTeX's commands: "\left" keeps its "ft".
std::string without_glued_word(const std::string& text, std::string_view word) {
  if (text.find(word) == kNone) return text;
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + 1;
    if (text[at] == '\\') {
      while (end < text.size() && is_letter(text[end])) ++end;
    } else if (text.compare(at, word.size(), word) == 0) {
      at += word.size();
      continue;
    }
    out.append(text, at, end - at);
    at = end;
  }
  return out;
}

/// Of a line with two dollar signs, what stands between the first two, with them.
std::string between_dollars(const std::string& line) {
  const std::size_t first = line.find('$');
  const std::size_t second = first == kNone ? kNone : line.find('$', first + 1);
  return second == kNone ? line : line.substr(first, second - first + 1);
}

enum class Closes { first_brace, last_brace };

/// Each \command{inside} of the line as its inside; where the inside ends is not a matter of balance.
std::string unwrapped(const std::string& line, std::string_view opening, Closes closes) {
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = line.find(opening); at != kNone; at = line.find(opening, done)) {
    const std::size_t inside = at + opening.size();
    const std::size_t close = closes == Closes::last_brace ? line.rfind('}') : line.find('}', inside);
    if (close == kNone || close < inside) break;
    out.append(line, done, at - done).append(line, inside, close - inside);
    done = close + 1;
  }
  return out.append(line, done);
}

template <class Change>
std::string by_lines(const std::string& text, Change&& change) {
  std::string out;
  for (std::size_t begin = 0;;) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    out += change(text.substr(begin, end - begin));
    if (end == text.size()) return out;
    out += '\n';
    begin = end + 1;
  }
}

/// The answer itself of a line in dollar signs, bold, overlined or boxed.
std::string without_dress(const std::string& text) {
  return by_lines(text, [](std::string line) {
    line = between_dollars(line);
    for (const std::string_view opening : {"\\text{", "\\textbf{", "\\overline{"})
      line = unwrapped(line, opening, Closes::first_brace);
    return unwrapped(line, "\\boxed{", Closes::last_brace);
  });
}

/// \fracab is \frac{a}{b}: two characters, the first no brace (a line break is a character), the second no line break.
std::string braced_fractions(const std::string& text) {
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = text.find("frac"); at != kNone; at = text.find("frac", std::max(done, at + 1))) {
    const std::size_t first = at + 4;
    if (first >= text.size()) break;
    const std::size_t second = first + code_point_at(text, first).bytes;
    if (second >= text.size()) break;
    if (text[first] == '{' || text[second] == '\n') continue;
    out.append(text, done, first - done).append("{").append(text, first, second - first).append("}{");
    done = second + code_point_at(text, second).bytes;
    out.append(text, second, done - second).append("}");
  }
  return out.append(text, done);
}

/// The code point at `argument` of a root put in braces; text up to it goes to `out` as it is. Returns where it ends.
std::size_t brace_argument(const std::string& text, std::size_t done, std::size_t argument, std::string& out) {
  const std::size_t end = argument + code_point_at(text, argument).bytes;
  out.append(text, done, argument - done).append("{").append(text, argument, end - argument).append("}");
  return end;
}

/// \sqrt[3]a is \sqrt[3]{a}: a letter, digit or underscore behind the index.
std::string braced_indexed_roots(const std::string& text) {
  std::string out;
  std::size_t done = 0, bracket = 0;  // a ] found once serves all roots before it
  for (std::size_t at = text.find("sqrt["); at != kNone; at = text.find("sqrt[", std::max(done, at + 1))) {
    if (bracket < at + 5) bracket = text.find(']', at + 5);
    if (bracket == kNone) break;
    if (is_word_at(text, bracket + 1)) done = brace_argument(text, done, bracket + 1, out);
  }
  return out.append(text, done);
}

/// \sqrta is \sqrt{a}: any character but an opening brace or bracket.
std::string braced_roots(const std::string& text) {
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = text.find("sqrt"); at != kNone; at = text.find("sqrt", std::max(done, at + 1))) {
    const std::size_t argument = at + 4;
    if (argument >= text.size()) break;
    if (text[argument] != '{' && text[argument] != '[') done = brace_argument(text, done, argument, out);
  }
  return out.append(text, done);
}

/// -?\d{1,3}(,\d{3})+ and nothing else. Digits are Python's: of any script.
bool has_thousands(std::string_view text) {
  int digits = 0, groups = 0;
  for (std::size_t at = text.starts_with('-') ? 1 : 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    at += c.bytes;
    if (c.value == ',') {
      if (digits == 0 || (groups > 0 && digits != 3)) return false;
      ++groups;
      digits = 0;
    } else if (!is_decimal(c.value) || ++digits > 3) {
      return false;
    }
  }
  return groups > 0 && digits == 3;
}

/// What the sentence says, without white space around it.
std::string sentence_answer(const std::string& text) {
  static constexpr std::string_view kOpens = "Final Answer: The final answer is", kCloses = " I hope it is correct";
  const std::string whole = text + "I hope it is correct.";
  for (std::size_t begin = 0; begin < whole.size();) {
    const std::size_t end = std::min(whole.find('\n', begin), whole.size());  // the sentence stands in one line
    const std::string_view line = std::string_view(whole).substr(begin, end - begin);
    begin = end + 1;
    const std::size_t opens = line.find(kOpens);
    if (opens == kNone) continue;
    const std::size_t inside = opens + kOpens.size();
    const std::size_t closes = line.find(kCloses, inside + 1);  // any character stands before it, and one behind it
    if (closes == kNone || closes + kCloses.size() >= line.size()) continue;
    std::size_t stop = closes - 1;
    while (stop > inside && (static_cast<unsigned char>(line[stop]) & 0xC0) == 0x80) --stop;
    return python::strip(line.substr(inside, stop - inside));
  }
  return "[invalidanswer]";
}

}  // namespace

std::string minerva_normalised(const std::string& answer) {
  std::string form = answer.substr(answer.rfind('=') + 1);  // of npos too: the whole
  for (const std::string_view expression : kRemoved)
    if (is_a_word(expression)) form = without_lone_word(form, expression);
  for (const auto& [from, to] : kSubstitutions) form = replaced(form, from, to);
  for (const std::string_view expression : kRemoved)
    form = is_a_word(expression) ? without_glued_word(form, expression) : replaced(form, expression, "");
  form = braced_roots(braced_indexed_roots(braced_fractions(without_dress(form))));
  form = replaced(form, "$", "");
  return has_thousands(form) ? replaced(form, ",", "") : form;
}

std::string minerva_answer(const std::string& text) { return minerva_normalised(sentence_answer(text)); }

}  // namespace proctor
