#include "orchestrator/metrics/rouge.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/ngrams.h"
#include "orchestrator/metrics/porter_stemmer.h"

namespace proctor {
namespace {

constexpr std::size_t kLongestUnstemmed = 3;

using Words = std::u32string;  // numbers
using Lines = std::vector<Words>;

bool is_word_character(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

std::vector<std::string> words_of(const std::string& text, Stem stem) {
  std::string spaced = python::lower(text);
  std::ranges::replace_if(
      spaced, [](char c) { return !is_word_character(c); }, ' ');
  std::vector<std::string> words = python::split(spaced);
  if (stem == Stem::porter)
    for (std::string& word : words)
      if (word.size() > kLongestUnstemmed) word = porter_stem(word);
  std::erase(words, "");
  return words;
}

/// Lines end at \n only.
Lines lines_of(const std::string& text, Stem stem, WordNumbers& numbers) {
  Lines lines;
  for (std::size_t begin = 0, end = 0; begin <= text.size(); begin = end + 1) {
    end = std::min(text.find('\n', begin), text.size());
    lines.push_back(numbers(words_of(text.substr(begin, end - begin), stem)));
  }
  return lines;
}

double f_measure(std::size_t hits, std::size_t predicted, std::size_t expected) {
  if (hits == 0) return 0;
  const double precision = static_cast<double>(hits) / static_cast<double>(predicted),
               recall = static_cast<double>(hits) / static_cast<double>(expected);
  return 2 * precision * recall / (precision + recall);
}

double of_ngrams(const Words& prediction, const Words& reference, std::size_t order) {
  const auto hits = matches(count_ngrams(prediction, order), count_ngrams(reference, order));
  return f_measure(static_cast<std::size_t>(hits), ngrams_in(prediction.size(), order),
                   ngrams_in(reference.size(), order));
}

/// Length of the longest common subsequence, row by row. `on_difference(i, j, left)` at each pair of words that differ:
/// whether a[..i] and b[..j - 1], both up to there, have a longer one than a[..i - 1] and b[..j].
template <class OnDifference>
std::size_t common_length(const Words& a, const Words& b, OnDifference&& on_difference) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = 0;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      if (a[i - 1] == b[j - 1]) {
        row[j] = diagonal + 1;
      } else {
        on_difference(i, j, row[j - 1] > above);
        row[j] = std::max(above, row[j - 1]);
      }
      diagonal = above;
    }
  }
  return row.back();
}

/// Marks the words of `line` in one longest common subsequence. Which of several is part of the figure: from the end,
/// equal words are paired; else the other text's word is passed over only where that keeps more.
void mark_common(const Words& line, const Words& other, std::vector<bool>& marked) {
  const std::size_t width = other.size() + 1;
  std::vector<bool> pass_other((line.size() + 1) * width);  // a bit a cell: texts of 20,000 words are possible
  common_length(line, other, [&](std::size_t i, std::size_t j, bool left) { pass_other[i * width + j] = left; });
  for (std::size_t i = line.size(), j = other.size(); i > 0 && j > 0;) {
    if (line[i - 1] == other[j - 1])
      marked[--i] = true, --j;
    else if (pass_other[i * width + j])
      --j;
    else
      --i;
  }
}

/// Each occurrence of a word counts once, on either side (as in ROUGE-1.5.5).
std::size_t union_hits(const Lines& prediction, const Lines& reference) {
  std::unordered_map<char32_t, std::size_t> left;
  for (const Words& line : prediction)
    for (const char32_t word : line) ++left[word];
  std::size_t hits = 0;
  for (const Words& line : reference) {
    std::vector<bool> marked(line.size());
    for (const Words& other : prediction) mark_common(line, other, marked);
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (!marked[i] || left[line[i]] == 0) continue;
      ++hits;
      --left[line[i]];
    }
  }
  return hits;
}

Words joined(const Lines& lines) {
  Words words;
  for (const Words& line : lines) words += line;
  return words;
}

}  // namespace

RougeScores rouge(const std::string& prediction, const std::string& reference, Stem stem) {
  WordNumbers numbers;
  const Lines predicted = lines_of(prediction, stem, numbers), expected = lines_of(reference, stem, numbers);
  const Words mine = joined(predicted), theirs = joined(expected);
  const std::size_t longest = common_length(mine, theirs, [](std::size_t, std::size_t, bool) {});
  return {of_ngrams(mine, theirs, 1), of_ngrams(mine, theirs, 2), f_measure(longest, mine.size(), theirs.size()),
          f_measure(union_hits(predicted, expected), mine.size(), theirs.size())};
}

}  // namespace proctor
