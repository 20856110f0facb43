#include "orchestrator/metrics/quasi_match.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <vector>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/code_points.h"

namespace proctor {
namespace {

/// Each run of word characters that is an article becomes a space.
std::string without_articles(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const bool word = is_word_at(text, at);
    std::size_t end = at;
    while (end < text.size() && is_word_at(text, end) == word) end += code_point_at(text, end).bytes;
    const std::string_view run = text.substr(at, end - at);
    out += run == "a" || run == "an" || run == "the" ? " " : run;
    at = end;
  }
  return out;
}

std::vector<std::string> normalised_words(const std::string& text) {
  std::string clean = python::lower(text);
  std::erase_if(clean, is_punctuation);
  return python::split(without_articles(clean));
}

}  // namespace

std::string quasi_normalised(const std::string& text) {
  std::string out;
  for (const std::string& word : normalised_words(text)) out.append(out.empty() ? "" : " ").append(word);
  return out;
}

bool exact_match_stripped(const std::string& prediction, const std::string& reference) {
  return !prediction.empty() && python::strip(prediction) == python::strip(reference);
}

bool quasi_exact_match(const std::string& prediction, const std::string& reference) {
  return !prediction.empty() && quasi_normalised(prediction) == quasi_normalised(reference);
}

bool prefix_exact_match(const std::string& prediction, const std::string& reference) {
  return !prediction.empty() && python::strip(prediction).starts_with(python::strip(reference));
}

bool quasi_prefix_exact_match(const std::string& prediction, const std::string& reference) {
  return !prediction.empty() && quasi_normalised(prediction).starts_with(quasi_normalised(reference));
}

double squad_exact_match(const std::string& prediction, const std::string& reference) {
  return quasi_normalised(prediction) == quasi_normalised(reference) ? 1.0 : 0.0;
}

double token_f1(const std::string& prediction, const std::string& reference) {
  const auto predicted = normalised_words(prediction), expected = normalised_words(reference);
  if (predicted.empty() || expected.empty()) return predicted.empty() == expected.empty() ? 1.0 : 0.0;
  std::map<std::string_view, int> left;
  for (const std::string& word : expected) ++left[word];
  int common = 0;
  for (const std::string& word : predicted)
    if (const auto found = left.find(word); found != left.end() && found->second > 0) --found->second, ++common;
  if (common == 0) return 0.0;
  const double precision = common / static_cast<double>(predicted.size());
  const double recall = common / static_cast<double>(expected.size());
  return 2 * precision * recall / (precision + recall);
}

}  // namespace proctor
