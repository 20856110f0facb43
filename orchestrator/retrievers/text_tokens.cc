#include "orchestrator/retrievers/text_tokens.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/code_points.h"
#include "orchestrator/metrics/porter_stemmer.h"
#include "orchestrator/metrics/quasi_match.h"

namespace proctor {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"words", "porter", "space"};

// Apache Lucene's EnglishAnalyzer (Apache-2.0).
const std::unordered_set<std::string_view> kLucene = {
    "a",   "an",    "and",  "are",   "as",    "at",   "be",   "but", "by",  "for",  "if",
    "in",  "into",  "is",   "it",    "no",    "not",  "of",   "on",  "or",  "such", "that",
    "the", "their", "then", "there", "these", "they", "this", "to",  "was", "will", "with"};

// NLTK's English list (Snowball's, BSD), without the words that have an apostrophe, which no run of \w is.
const std::unordered_set<std::string_view> kNltk = {
    "i",       "me",       "my",         "myself",  "we",     "our",    "ours",    "ourselves", "you",        "your",
    "yours",   "yourself", "yourselves", "he",      "him",    "his",    "himself", "she",       "her",        "hers",
    "herself", "it",       "its",        "itself",  "they",   "them",   "their",   "theirs",    "themselves", "what",
    "which",   "who",      "whom",       "this",    "that",   "these",  "those",   "am",        "is",         "are",
    "was",     "were",     "be",         "been",    "being",  "have",   "has",     "had",       "having",     "do",
    "does",    "did",      "doing",      "a",       "an",     "the",    "and",     "but",       "if",         "or",
    "because", "as",       "until",      "while",   "of",     "at",     "by",      "for",       "with",       "about",
    "against", "between",  "into",       "through", "during", "before", "after",   "above",     "below",      "to",
    "from",    "up",       "down",       "in",      "out",    "on",     "off",     "over",      "under",      "again",
    "further", "then",     "once",       "here",    "there",  "when",   "where",   "why",       "how",        "all",
    "any",     "both",     "each",       "few",     "more",   "most",   "other",   "some",      "such",       "no",
    "nor",     "not",      "only",       "own",     "same",   "so",     "than",    "too",       "very",       "s",
    "t",       "can",      "will",       "just",    "don",    "should", "now",     "d",         "ll",         "m",
    "o",       "re",       "ve",         "y",       "ain",    "aren",   "couldn",  "didn",      "doesn",      "hadn",
    "hasn",    "haven",    "isn",        "ma",      "mightn", "mustn",  "needn",   "shan",      "shouldn",    "wasn",
    "weren",   "won",      "wouldn"};

/// Runs of \w of at least so many characters.
std::vector<std::string> words_of(const std::string& text, std::size_t least,
                                  const std::unordered_set<std::string_view>& left_out) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    std::size_t characters = 0;
    for (CodePoint one; at < text.size() && is_word((one = code_point_at(text, at)).value); at += one.bytes)
      ++characters;
    if (characters == 0) {
      at += code_point_at(text, at).bytes;
      continue;
    }
    std::string word = text.substr(begin, at - begin);
    if (characters >= least && !left_out.contains(word)) words.push_back(std::move(word));
  }
  return words;
}

/// The stemmer knows single bytes: what is not ASCII stands for itself as one, and comes back afterwards.
std::string stem_of(const std::string& word) {
  std::string single;
  std::vector<std::string> others;
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t bytes = code_point_at(word, at).bytes;
    const std::string one = word.substr(at, bytes);
    at += bytes;
    if (static_cast<unsigned char>(one[0]) < 0x80) {
      single += one;
      continue;
    }
    const auto known = std::ranges::find(others, one);
    if (known == others.end() && others.size() == 0x80) return word;
    single += static_cast<char>(0x80 + (known - others.begin()));
    if (known == others.end()) others.push_back(one);
  }
  std::string stem;
  for (const char c : porter_stem(single)) {
    const auto byte = static_cast<unsigned char>(c);
    stem += byte < 0x80 ? std::string(1, c) : others[byte - 0x80u];
  }
  return stem;
}

std::vector<std::string> porter_tokens(const std::string& text) {
  std::vector<std::string> tokens;
  std::unordered_set<std::string> seen;
  for (std::string& word : words_of(text, 1, kNltk))
    if (seen.insert(word).second) tokens.push_back(stem_of(word));
  return tokens;
}

}  // namespace

std::span<const std::string_view> text_tokenizer_names() { return kNames; }

std::vector<std::string> text_tokens(const std::string& text, TextTokenizer tokenizer) {
  switch (tokenizer) {
    case TextTokenizer::porter:
      return porter_tokens(python::lower(text));
    case TextTokenizer::space:
      return python::split(quasi_normalised(text));
    case TextTokenizer::words:
      break;
  }
  return words_of(python::lower(text), 2, kLucene);
}

}  // namespace proctor
