#include "orchestrator/metrics/math_answer.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/code_points.h"
#include "orchestrator/metrics/exact_number.h"

namespace proctor {
namespace {

using Rule = std::pair<std::string_view, std::string_view>;  // this is replaced by that
constexpr Rule kBeforeUnits[] = {{"\n", ""},        {"\\!", ""},    {"\\\\", "\\"},  {"tfrac", "frac"},
                                 {"dfrac", "frac"}, {"\\left", ""}, {"\\right", ""}, {"^{\\circ}", ""},
                                 {"^\\circ", ""},   {"\\$", ""}};
// The percent sign goes twice: what stood around the first one may make another.
constexpr Rule kAfterUnits[] = {{"\\%", ""}, {"\\%", ""}, {" .", " 0."}, {"{.", "{0."}};

std::string replaced_all(std::string text, std::span<const Rule> rules) {
  for (const auto& [from, to] : rules)
    if (text.find(from) != std::string::npos) text = replaced(text, from, to);
  return text;
}

/// What stands before the one unit ("\text{ cm}"); none if there are two.
std::optional<std::string> without_unit(std::string text) {
  static constexpr std::string_view kUnit = "\\text{ ";
  const std::size_t at = text.find(kUnit);
  if (at == std::string::npos) return text;
  if (text.find(kUnit, at + kUnit.size()) != std::string::npos) return std::nullopt;
  text.erase(at);
  return text;
}

/// "x=5" is 5: one equals sign, behind at most two characters.
void drop_variable(std::string& text) {
  const std::size_t at = text.find('=');
  if (at == std::string::npos || text.find('=', at + 1) != std::string::npos) return;
  if (python::length(std::string_view(text).substr(0, at)) <= 2) text.erase(0, at + 1);
}

/// \sqrt3 is \sqrt{3}; none where nothing follows.
std::optional<std::string> braced_roots(const std::string& text) {
  static constexpr std::string_view kRoot = "\\sqrt";
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = text.find(kRoot); at != std::string::npos; at = text.find(kRoot, done)) {
    const std::size_t next = at + kRoot.size();
    if (next == text.size() || text.compare(next, kRoot.size(), kRoot) == 0) return std::nullopt;
    out.append(text, done, next - done);
    done = next;
    if (text[next] == '{') continue;
    done += code_point_at(text, next).bytes;
    out.append("{").append(text, next, done - next).append("}");
  }
  return out.append(text, done);
}

/// \frac12 is \frac{1}{2}, \frac1{72} is \frac{1}{72}; the text itself where a \frac has only one character; none where
/// it has nothing. What a \frac has ends before the next one.
std::optional<std::string> braced_fractions(const std::string& text) {
  static constexpr std::string_view kFraction = "\\frac";
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = text.find(kFraction); at != std::string::npos;) {
    const std::size_t begin = at + kFraction.size();
    at = text.find(kFraction, begin);
    const std::size_t end = std::min(at, text.size());
    if (begin == end) return std::nullopt;
    out.append(text, done, begin - done);
    done = begin;
    if (text[begin] == '{') continue;
    const std::size_t second = begin + code_point_at(text, begin).bytes;
    if (second >= end) return text;
    out.append("{").append(text, begin, second - begin).append("}");
    done = second;
    if (text[second] == '{') continue;
    done += code_point_at(text, second).bytes;
    out.append("{").append(text, second, done - second).append("}");
  }
  return out.append(text, done);
}

/// Whether int(text) returns: a sign, at most 4,300 decimal digits, single underscores between them, white space
/// around.
bool reads_as_int(std::string_view text) {
  const auto skips = [](char32_t c) { return (c >= 9 && c <= 13) || c == ' ' || (c > 127 && python::is_space(c)); };
  std::size_t at = 0;
  const auto skip_space = [&] {
    while (at < text.size() && skips(code_point_at(text, at).value)) at += code_point_at(text, at).bytes;
  };
  skip_space();
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
  std::size_t digits = 0;
  for (bool digit_behind = false; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    const bool digit = is_decimal(c.value);
    if (!digit && !(c.value == '_' && digit_behind)) break;
    digit_behind = digit;
    digits += digit;
    at += c.bytes;
  }
  if (digits == 0 || digits > 4300 || text[at - 1] == '_') return false;
  skip_space();
  return at == text.size();
}

/// Whether str(int(text)) is the text.
bool is_plain_int(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.empty() || !std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; })) return false;
  return text.front() != '0' || (text.size() == 1 && !negative);
}

/// 1/2 is \frac{1}{2}; none where one side of the only slash is no integer.
std::optional<std::string> slash_as_fraction(const std::string& text) {
  const std::size_t at = text.find('/');
  if (at == std::string::npos || text.find('/', at + 1) != std::string::npos) return text;
  const std::string over = text.substr(0, at), under = text.substr(at + 1);
  if (!reads_as_int(over) || !reads_as_int(under)) return std::nullopt;
  return is_plain_int(over) && is_plain_int(under) ? "\\frac{" + over + "}{" + under + "}" : text;
}

/// One text's answer in the three forms that math_equal compares.
struct Answer {
  std::string plain;
  std::string minerva;
  std::optional<ExactNumber> number;
};

Answer answer_of(const std::string& text) {
  Answer answer;
  answer.plain = boxed_answer(text).value_or(text);
  answer.minerva = minerva_answer(text);
  if (answer.minerva == "[invalidanswer]") answer.minerva = minerva_normalised(answer.plain);
  answer.number = exact_number(answer.plain);
  if (!answer.number) answer.number = exact_number(answer.minerva);
  return answer;
}

}  // namespace

std::optional<std::string> boxed_answer(const std::string& text) {
  static constexpr std::string_view kSpaced = "\\boxed ", kBoxed = "\\boxed", kFramed = "\\fbox";
  if (const std::size_t at = text.rfind(kSpaced); at != std::string::npos) {
    const std::string_view behind = std::string_view(text).substr(at + kSpaced.size());
    return std::string(behind.substr(0, behind.find('$')));
  }
  std::size_t begin = text.rfind(kBoxed);
  const std::string_view command = begin == std::string::npos ? kFramed : kBoxed;
  if (begin == std::string::npos) begin = text.rfind(kFramed);
  if (begin == std::string::npos) return std::nullopt;
  begin += command.size();
  std::size_t open = 0;
  for (std::size_t at = begin; at < text.size(); ++at) {
    open += text[at] == '{';
    if (open == 0) return std::nullopt;  // no brace directly behind the command
    if (text[at] == '}' && --open == 0) return text.substr(begin + 1, at - begin - 1);
  }
  return std::nullopt;
}

std::optional<std::string> hendrycks_normalised(const std::string& text) {
  auto form = without_unit(replaced_all(text, kBeforeUnits));
  if (!form) return std::nullopt;
  form = replaced_all(*form, kAfterUnits);
  if (form->empty()) return form;
  if (form->front() == '.') form->insert(0, "0");
  drop_variable(*form);
  form = braced_roots(*form);
  if (!form) return std::nullopt;
  form = braced_fractions(replaced(*form, " ", ""));
  if (!form) return std::nullopt;
  if (*form == "0.5") form = "\\frac{1}{2}";
  return slash_as_fraction(*form);
}

bool hendrycks_equal(const std::string& a, const std::string& b) {
  const auto left = hendrycks_normalised(a), right = hendrycks_normalised(b);
  return left && right ? *left == *right : a == b;
}

bool math_equal(const std::string& prediction, const std::string& reference) {
  const Answer a = answer_of(prediction), b = answer_of(reference);
  return hendrycks_equal(a.plain, b.plain) || (!a.minerva.empty() && a.minerva == b.minerva) ||
         (a.number && b.number && same_value(*a.number, *b.number));
}

}  // namespace proctor
