#include "orchestrator/metrics/vqa_answer.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <vector>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/code_points.h"

namespace proctor {
namespace {

/// Contractions that VQA's evaluation completes: a word that lacks one of the apostrophes becomes the whole.
constexpr std::string_view kContractions =
    "ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd "
    "he'd've "
    "he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've "
    "needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've "
    "somebody'll somebody's someone'd someone'd've someone'll someone's something'd something'd've something'll "
    "that's there'd there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've "
    "weren't what'll what're what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll "
    "why're why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've";

std::map<std::string, std::string> completed_words() {
  std::map<std::string, std::string> words = {{"somebody'd", "somebodyd"}};  // the other way round in the original
  for (const std::string& whole : python::split(kContractions))
    for (std::size_t at = whole.find('\''); at != std::string::npos; at = whole.find('\'', at + 1))
      words.emplace(std::string(whole).erase(at, 1), whole);
  return words;
}

const std::map<std::string, std::string, std::less<>> kNumbers = {
    {"none", "0"}, {"zero", "0"}, {"one", "1"},   {"two", "2"},   {"three", "3"}, {"four", "4"},
    {"five", "5"}, {"six", "6"},  {"seven", "7"}, {"eight", "8"}, {"nine", "9"},  {"ten", "10"}};

/// Each mark goes where it has a space beside it somewhere in the text, and becomes a space where it has none.
std::string without_marks(const std::string& text) {
  std::string out = text;
  for (const char mark : std::string_view(";/[]\"{}()=+\\_->@<`!")) {
    const bool apart = text.find(std::string{mark, ' '}) != std::string::npos ||
                       text.find(std::string{' ', mark}) != std::string::npos;
    out = replaced(out, std::string(1, mark), apart ? "" : " ");
  }
  return out;
}

/// Full stops that no digit follows; the original stops after 32.
std::string without_full_stops(const std::string& text) {
  std::string out;
  int left = 32;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool ends = text[at] == '.' && (at + 1 == text.size() || !is_decimal(code_point_at(text, at + 1).value));
    if (!ends || left == 0)
      out += text[at];
    else
      --left;
  }
  return out;
}

}  // namespace

std::string vqa_normalised(const std::string& text) {
  static const std::map<std::string, std::string> kCompleted = completed_words();
  std::string clean = python::lower(text);
  std::erase_if(clean, [](char c) { return c == ',' || c == '?'; });
  clean = python::strip(replaced(clean, "'s", " 's"));
  std::ranges::replace_if(
      clean, [](char c) { return c == '\n' || c == '\t'; }, ' ');
  std::string out;
  for (std::string word : python::split(python::lower(without_full_stops(without_marks(python::strip(clean)))))) {
    if (const auto number = kNumbers.find(word); number != kNumbers.end()) word = number->second;
    if (word == "a" || word == "an" || word == "the") continue;
    if (const auto whole = kCompleted.find(word); whole != kCompleted.end()) word = whole->second;
    out.append(out.empty() ? "" : " ").append(word);
  }
  return out;
}

double vqa_accuracy(const std::string& prediction, std::span<const std::string> answers) {
  const std::string found = vqa_normalised(prediction);
  std::vector<bool> same;
  for (const std::string& answer : answers) same.push_back(vqa_normalised(answer) == found);
  const auto agreeing = std::ranges::count(same, true);
  const auto share = [](auto others) { return std::min(1.0, static_cast<double>(others) / 3); };
  const auto all = static_cast<double>(answers.size()), right = static_cast<double>(agreeing);
  if (answers.empty()) return 0;
  return (right * (agreeing > 0 ? share(agreeing - 1) : 0) + (all - right) * share(agreeing)) / all;
}

}  // namespace proctor
