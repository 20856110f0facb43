#include "orchestrator/metrics/option_letter.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/code_points.h"
#include "orchestrator/metrics/ngrams.h"

namespace proctor {
namespace {

/// Each of the marks in turn off both ends, and a space at each.
std::string padded(std::string text, std::string_view marks) {
  for (const char mark : marks) {
    text.erase(0, std::min(text.find_first_not_of(mark), text.size()));
    text.erase(text.find_last_not_of(mark) + 1);
  }
  return " " + text + " ";
}

constexpr std::array kPhrases = {"the answer is",
                                 "answer is",
                                 "the correct answer is",
                                 "correct answer is",
                                 "the best answer is",
                                 "best answer is",
                                 "the correct option is",
                                 "correct option is",
                                 "the best option is",
                                 "best option is",
                                 "the choice is",
                                 "choice is",
                                 "the correct choice is",
                                 "correct choice is",
                                 "i choose",
                                 "i select",
                                 "i pick",
                                 "my answer is",
                                 "my choice is",
                                 "옵션",
                                 "정답은",
                                 "답은",
                                 "답:",
                                 "答案是",
                                 "答案为",
                                 "选",
                                 "答えは"};

/// The best so far: by priority, then by place; the first seen among equals.
struct Best {
  int priority = -1;
  std::size_t place = 0;
  std::string letter;

  void offer(int of, std::size_t at, char found) {
    if (at == std::u32string::npos || of < priority || (of == priority && at <= place)) return;
    priority = of, place = at, letter = std::string(1, found);
  }
};

void offer_marked(Best& best, const std::u32string& text, const Options& options) {
  struct Form {
    int priority;
    std::u32string_view before, after;
  };
  constexpr Form kForms[] = {{6, U"(", U")"}, {5, U"", U"."}, {4, U"", U":"}, {3, U"", U")"}, {2, U"", U" "}};
  for (const Form& form : kForms)
    for (const Option& one : options)
      best.offer(
          form.priority,
          text.rfind(std::u32string(form.before) + static_cast<char32_t>(one.letter) + std::u32string(form.after)),
          one.letter);
}

/// Places in lower case count in the text, whatever lower case does to its length.
void offer_phrases(Best& best, const std::u32string& text, const std::u32string& lower, const Options& options) {
  for (const char* phrase : kPhrases) {
    const std::u32string wanted = code_points(phrase);
    const std::size_t at = lower.find(wanted);
    if (at == std::u32string::npos) continue;
    for (const Option& one : options)
      best.offer(7, text.find(static_cast<char32_t>(one.letter), at + wanted.size()), one.letter);
  }
}

void offer_ends(Best& best, const std::u32string& whole, std::size_t padded_length, const Options& options) {
  if (whole.empty()) return;
  for (const Option& one : options) {
    const auto letter = static_cast<char32_t>(one.letter);
    if (whole.front() == letter && (whole.size() == 1 || !is_letter(whole[1]))) best.offer(10, 0, one.letter);
    if (whole.back() == letter && (whole.size() == 1 || !is_letter(whole[whole.size() - 2])))
      best.offer(9, padded_length - 1, one.letter);
  }
}

/// The options that `form` finds in the text.
template <class Form>
Options found_in(const std::string& text, const Options& options, Form form) {
  Options found;
  for (const Option& one : options)
    if (text.find(form(one)) != std::string::npos) found.push_back(one);
  return found;
}

/// The one whose form comes last; where none has that form, the first.
template <class Form>
std::string last_of(const std::string& text, const Options& found, Form form) {
  const auto place = [&](const Option& one) {
    const auto at = text.rfind(form(one));
    return at == std::string::npos ? -1 : static_cast<std::ptrdiff_t>(at);
  };
  return {std::ranges::max_element(found, {}, place)->letter};
}

std::string in_brackets(const Option& one) { return {'(', one.letter, ')'}; }
std::string before_space(const Option& one) { return {one.letter, ' '}; }
std::string between_spaces(const Option& one) { return {' ', one.letter, ' '}; }
std::string before_stop(const Option& one) { return {one.letter, '.'}; }
std::string lower_text(const Option& one) { return python::lower(one.text); }

/// The only letter of A to E that is a word of its own within these marks.
std::optional<char> only_letter(const std::vector<std::string>& words, std::string_view before,
                                std::string_view after) {
  std::optional<char> only;
  for (const char letter : std::string_view("ABCDE")) {
    if (std::ranges::find(words, std::string(before) + letter + std::string(after)) == words.end()) continue;
    if (only) return std::nullopt;
    only = letter;
  }
  return only;
}

std::optional<char> single_letter(const std::string& text) {
  const std::vector<std::string> words = python::split(text);
  constexpr std::size_t kShort = 3;  // in a longer text a word "A" may be the article
  const bool article = words.size() > kShort && std::ranges::find(words, "A") != words.end();
  if (const auto letter = only_letter(words, "", ""); letter && !article) return letter;
  constexpr std::pair<std::string_view, std::string_view> kMarks[] = {{"", "."},  {"", ","},  {"", ":"},   {"", ")"},
                                                                      {"", ")."}, {"(", ")"}, {"(", ")."}, {":", ""},
                                                                      {":", ","}, {":", "."}, {":", ")"},  {":", ")."}};
  for (const auto& [before, after] : kMarks)
    if (const auto letter = only_letter(words, before, after)) return letter;
  return std::nullopt;
}

}  // namespace

std::string letter_by_format(const std::string& text, const Options& options) {
  const std::string around = padded(python::strip(text), ",.!?;:'\"");
  const std::u32string points = code_points(around);
  Best best;
  offer_marked(best, points, options);
  offer_phrases(best, points, code_points(python::lower(around)), options);
  offer_ends(best, code_points(python::strip(around)), points.size(), options);
  if (best.letter.empty())
    for (const Option& one : options) best.offer(0, points.rfind(static_cast<char32_t>(one.letter)), one.letter);
  return best.letter;
}

std::string letter_or_text(const std::string& text, const Options& options) {
  const std::string around = padded(text, ",.!?;:'");
  if (const Options found = found_in(around, options, in_brackets); !found.empty())
    return last_of(around, found, in_brackets);
  for (const auto form : {before_space, before_stop})
    if (const Options found = found_in(around, options, form); !found.empty())
      return last_of(around, found, between_spaces);
  constexpr std::size_t kFewWords = 5;
  if (python::split(around).size() <= kFewWords) return "";
  const std::string lower = python::lower(around);
  const Options found = found_in(lower, options, lower_text);
  return found.empty() ? "" : last_of(lower, found, lower_text);
}

std::string single_letter_or_text(const std::string& text, const Options& options) {
  if (const auto letter = single_letter(text)) return {*letter};
  const Options named = found_in(python::lower(text), options, lower_text);
  return named.size() == 1 ? std::string{named[0].letter} : letter_by_format(text, options);
}

std::string leading_letter(const std::string& text) {
  std::size_t at = 0;
  while (at < text.size() && python::is_space(code_point_at(text, at).value)) at += code_point_at(text, at).bytes;
  const bool leads = at + 1 < text.size() && text[at] >= 'A' && text[at] <= 'Z' && text[at + 1] == '.';
  return leads ? std::string{text[at]} : text;
}

}  // namespace proctor
