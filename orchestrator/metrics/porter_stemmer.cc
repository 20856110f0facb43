#include "orchestrator/metrics/porter_stemmer.h"

#include <span>
#include <utility>

namespace proctor {
namespace {

// The words of the paper: C is a consonant, V a vowel. A y behind a consonant is a vowel.

bool is_vowel(char letter, bool behind_consonant) {
  return letter == 'y' ? behind_consonant : std::string_view("aeiou").find(letter) != std::string_view::npos;
}

/// One letter each, C or V.
std::string kinds_of(std::string_view word) {
  std::string kinds;
  for (const char letter : word) kinds += is_vowel(letter, !kinds.empty() && kinds.back() == 'C') ? 'V' : 'C';
  return kinds;
}

/// m: how often a consonant follows a vowel.
int measure(std::string_view stem) {
  const std::string kinds = kinds_of(stem);
  int m = 0;
  for (std::size_t i = 1; i < kinds.size(); ++i) m += kinds[i - 1] == 'V' && kinds[i] == 'C';
  return m;
}

bool has_vowel(std::string_view stem) { return kinds_of(stem).find('V') != std::string::npos; }

/// *d
bool ends_in_double_consonant(std::string_view word) {
  return word.size() >= 2 && word.back() == word[word.size() - 2] && kinds_of(word).back() == 'C';
}

/// *o; nltk: or the whole word is VC.
bool ends_in_short_syllable(std::string_view word) {
  const std::string kinds = kinds_of(word);
  if (kinds == "VC") return true;
  return kinds.ends_with("CVC") && std::string_view("wxy").find(word.back()) == std::string_view::npos;
}

std::string_view without(std::string_view word, std::size_t letters) { return word.substr(0, word.size() - letters); }

struct Suffix {
  std::string_view from, to;
};

/// The first suffix in the list that the word has decides: replaced where the stem has a measure above `above`.
std::string replace_suffix(std::string_view word, std::span<const Suffix> suffixes, int above) {
  for (const auto& [from, to] : suffixes) {
    if (!word.ends_with(from)) continue;
    const std::string_view stem = without(word, from.size());
    return measure(stem) > above ? std::string(stem).append(to) : std::string(word);
  }
  return std::string(word);
}

/// Plurals. nltk: "dies" becomes "die", "flies" "fli".
std::string step_1a(std::string_view word) {
  if (word.ends_with("ies")) return std::string(without(word, word.size() == 4 ? 1 : 2));
  if (word.ends_with("sses")) return std::string(without(word, 2));
  return std::string(word.ends_with("s") && !word.ends_with("ss") ? without(word, 1) : word);
}

/// What is left when -ed or -ing is gone.
std::string mend(std::string_view stem) {
  if (stem.ends_with("at") || stem.ends_with("bl") || stem.ends_with("iz")) return std::string(stem) + 'e';
  if (ends_in_double_consonant(stem))
    return std::string(std::string_view("lsz").find(stem.back()) == std::string_view::npos ? without(stem, 1) : stem);
  return measure(stem) == 1 && ends_in_short_syllable(stem) ? std::string(stem) + 'e' : std::string(stem);
}

/// Past tenses and participles. nltk: "died" becomes "die", "tried" "tri".
std::string step_1b(std::string_view word) {
  if (word.ends_with("ied")) return std::string(without(word, word.size() == 4 ? 1 : 2));
  if (word.ends_with("eed")) return std::string(measure(without(word, 3)) > 0 ? without(word, 1) : word);
  for (const std::string_view suffix : {"ed", "ing"})
    if (word.ends_with(suffix) && has_vowel(without(word, suffix.size()))) return mend(without(word, suffix.size()));
  return std::string(word);
}

/// nltk: behind a consonant that is not the first letter, so that "enjoy" stays and "spy" becomes "spi".
std::string step_1c(std::string word) {
  if (word.size() > 2 && word.ends_with('y') && kinds_of(word)[word.size() - 2] == 'C') word.back() = 'i';
  return word;
}

/// nltk: -alli goes first, and what is left goes through the step again; -bli for -abli; -fulli and -logi besides.
std::string step_2(std::string_view word) {
  static constexpr Suffix kSuffixes[] = {
      {"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"},
      {"bli", "ble"},     {"alli", "al"},     {"entli", "ent"}, {"eli", "e"},     {"ousli", "ous"},
      {"ization", "ize"}, {"ation", "ate"},   {"ator", "ate"},  {"alism", "al"},  {"iveness", "ive"},
      {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},  {"iviti", "ive"}, {"biliti", "ble"},
      {"fulli", "ful"},
  };
  if (word.ends_with("alli") && measure(without(word, 4)) > 0) return step_2(without(word, 2));
  // The l of -logi belongs to the stem, which makes "geologi" long enough.
  if (word.ends_with("logi")) return std::string(measure(without(word, 3)) > 0 ? without(word, 1) : word);
  return replace_suffix(word, kSuffixes, 0);
}

std::string step_3(std::string_view word) {
  static constexpr Suffix kSuffixes[] = {{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"},
                                         {"ical", "ic"},  {"ful", ""},   {"ness", ""}};
  return replace_suffix(word, kSuffixes, 0);
}

std::string step_4(std::string_view word) {
  static constexpr Suffix kSuffixes[] = {{"al", ""},   {"ance", ""}, {"ence", ""}, {"er", ""},    {"ic", ""},
                                         {"able", ""}, {"ible", ""}, {"ant", ""},  {"ement", ""}, {"ment", ""},
                                         {"ent", ""},  {"ou", ""},   {"ism", ""},  {"ate", ""},   {"iti", ""},
                                         {"ous", ""},  {"ive", ""},  {"ize", ""}};
  // The s or t before -ion belongs to the stem that is measured.
  if (word.ends_with("sion") || word.ends_with("tion"))
    return std::string(measure(without(word, 3)) > 1 ? without(word, 3) : word);
  return replace_suffix(word, kSuffixes, 1);
}

std::string step_5(std::string_view word) {
  if (word.ends_with('e')) {
    const std::string_view stem = without(word, 1);
    const int m = measure(stem);
    if (m > 1 || (m == 1 && !ends_in_short_syllable(stem))) word = stem;
  }
  return std::string(word.ends_with("ll") && measure(without(word, 1)) > 1 ? without(word, 1) : word);
}

/// nltk's table of irregular forms.
constexpr std::pair<std::string_view, std::string_view> kIrregular[] = {
    {"sky", "sky"},        {"skies", "sky"},       {"dying", "die"},        {"lying", "lie"},
    {"tying", "tie"},      {"news", "news"},       {"innings", "inning"},   {"inning", "inning"},
    {"outings", "outing"}, {"outing", "outing"},   {"cannings", "canning"}, {"canning", "canning"},
    {"howe", "howe"},      {"proceed", "proceed"}, {"exceed", "exceed"},    {"succeed", "succeed"}};

}  // namespace

std::string porter_stem(std::string_view word) {
  for (const auto& [form, stem] : kIrregular)
    if (word == form) return std::string(stem);
  if (word.size() <= 2) return std::string(word);
  return step_5(step_4(step_3(step_2(step_1c(step_1b(step_1a(word)))))));
}

}  // namespace proctor
