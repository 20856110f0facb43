// BLEU with sacrebleu's defaults. The rules of the tokenizer are those of NIST's mteval-v13a.pl.
#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/ngrams.h"
#include "orchestrator/metrics/translation_metrics.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr std::size_t kOrders = 4;
// Places in Counts.
constexpr std::size_t kLength = 0, kReferenceLength = 1, kMatches = 2, kTotals = kMatches + kOrders,
                      kSize = kTotals + kOrders;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_stop(char c) { return c == '.' || c == ','; }
/// ASCII's symbols without ' - . and the comma, which have rules of their own; the space does no harm.
bool is_symbol(char c) {
  return (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') || c == '/' || (c >= ':' && c <= '@') ||
         (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  std::string out;
  std::size_t at = 0;
  for (std::size_t found = 0; (found = text.find(from, at)) != std::string::npos; at = found + from.size())
    out.append(text, at, found - at).append(to);
  text = out.append(text, at);
}

/// A space between each pair of neighbours that `first` and `second` accept, and one before or behind the pair. Pairs
/// do not overlap. Bytes will do: what the rules look for is ASCII, and of a longer character, one byte is next to it.
enum class Outer { before, behind };
template <class First, class Second>
std::string space_pairs(std::string_view text, First first, Second second, Outer outer) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i + 1 == text.size() || !first(text[i]) || !second(text[i + 1])) {
      out += text[i];
      continue;
    }
    if (outer == Outer::before) out += ' ';
    out += {text[i], ' ', text[i + 1]};
    if (outer == Outer::behind) out += ' ';
    ++i;
  }
  return out;
}

std::vector<std::string> tokens_13a(std::string_view raw) {
  std::string text = python::strip(raw);  // sacrebleu strips the end only; at the beginning it changes no token
  for (const auto& [from, to] : {std::pair{"<skipped>", ""},
                                 {"-\n", ""},
                                 {"\n", " "},
                                 {"&quot;", "\""},
                                 {"&amp;", "&"},
                                 {"&lt;", "<"},
                                 {"&gt;", ">"}})
    replace_all(text, from, to);
  std::string spaced = " ";
  for (const char c : text) {
    if (is_symbol(c))
      spaced += {' ', c, ' '};
    else
      spaced += c;
  }
  spaced += ' ';
  const auto no_digit = [](char c) { return !is_digit(c); };
  spaced = space_pairs(spaced, no_digit, is_stop, Outer::behind);
  spaced = space_pairs(spaced, is_stop, no_digit, Outer::before);
  spaced = space_pairs(
      spaced, is_digit, [](char c) { return c == '-'; }, Outer::behind);
  return python::split(spaced);
}

/// Of two equally near the shorter.
std::size_t nearest_length(std::size_t length, std::span<const std::u32string> references) {
  const auto rank = [&](const std::u32string& reference) {
    const std::size_t n = reference.size();
    return std::pair(n > length ? n - length : length - n, n);
  };
  return std::ranges::min_element(references, {}, rank)->size();
}

}  // namespace

Counts bleu_counts(const std::string& prediction, std::span<const std::string> references) {
  PROCTOR_CHECK(!references.empty(), "BLEU without a reference");
  WordNumbers numbers;
  const std::u32string words = numbers(tokens_13a(prediction));
  std::vector<std::u32string> expected;
  for (const std::string& reference : references) expected.push_back(numbers(tokens_13a(reference)));
  Counts counts(kSize);
  counts[kLength] = static_cast<double>(words.size());
  counts[kReferenceLength] = static_cast<double>(nearest_length(words.size(), expected));
  for (std::size_t order = 1; order <= kOrders; ++order) {
    Ngrams allowed;  // of each n-gram the most that one reference has
    for (const std::u32string& one : expected)
      for (const auto& [ngram, times] : count_ngrams(one, order))
        if (auto& most = allowed[ngram]; most < times) most = times;
    counts[kMatches + order - 1] = static_cast<double>(matches(count_ngrams(words, order), allowed));
    counts[kTotals + order - 1] = static_cast<double>(ngrams_in(words.size(), order));
  }
  return counts;
}

double bleu_of(std::span<const double> counts) {
  PROCTOR_CHECK(counts.size() == kSize, "no counts of BLEU");
  const auto matched = counts.subspan(kMatches, kOrders), totals = counts.subspan(kTotals, kOrders);
  if (std::ranges::all_of(matched, [](double n) { return n == 0; })) return 0;
  double log_sum = 0, smoothing = 1;
  for (std::size_t i = 0; i < kOrders; ++i) {
    if (totals[i] == 0) return 0;
    if (matched[i] == 0) smoothing *= 2;
    log_sum += std::log(100 * (matched[i] > 0 ? matched[i] : 1 / smoothing) / totals[i]);
  }
  const double brevity =
      counts[kLength] < counts[kReferenceLength] ? std::exp(1 - counts[kReferenceLength] / counts[kLength]) : 1;
  return brevity * std::exp(log_sum / kOrders);
}

}  // namespace proctor
