// chrF and chrF++ with sacrebleu's defaults.
#include <string_view>
#include <utility>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/ngrams.h"
#include "orchestrator/metrics/translation_metrics.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr std::size_t kCharacterOrders = 6;
constexpr double kBetaSquared = 4;

bool is_punctuation(char c) {
  return std::string_view("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~").find(c) != std::string_view::npos;
}

/// Words between white space with one mark of punctuation set apart: the last character, or else the first.
std::vector<std::string> words_of(std::span<const std::string> pieces) {
  std::vector<std::string> words;
  for (const std::string& piece : pieces) {
    const std::size_t cut = piece.size() == 1              ? 0
                            : is_punctuation(piece.back()) ? piece.size() - 1
                            : is_punctuation(piece[0])     ? 1
                                                           : 0;
    if (cut > 0) words.push_back(piece.substr(0, cut));
    words.push_back(piece.substr(cut));
  }
  return words;
}

struct Sequences {
  std::u32string characters, words;
};

Sequences sequences_of(const std::string& text, WordNumbers& numbers) {
  const std::vector<std::string> pieces = python::split(text);
  Sequences out;
  for (const std::string& piece : pieces) out.characters += code_points(piece);
  out.words = numbers(words_of(pieces));
  return out;
}

/// One table an order: characters, then words.
std::vector<Ngrams> ngrams_of(const Sequences& sequences, std::size_t word_orders) {
  std::vector<Ngrams> out;
  for (std::size_t n = 1; n <= kCharacterOrders; ++n) out.push_back(count_ngrams(sequences.characters, n));
  for (std::size_t n = 1; n <= word_orders; ++n) out.push_back(count_ngrams(sequences.words, n));
  return out;
}

double total(const Ngrams& ngrams) {
  std::int64_t sum = 0;
  for (const auto& [ngram, times] : ngrams) sum += times;
  return static_cast<double>(sum);
}

}  // namespace

Counts chrf_counts(const std::string& prediction, std::span<const std::string> references, int word_order) {
  PROCTOR_CHECK(!references.empty() && word_order >= 0, "chrF without a reference");
  const auto word_orders = static_cast<std::size_t>(word_order);
  WordNumbers numbers;
  const Sequences mine = sequences_of(prediction, numbers);
  const std::vector<Ngrams> found = ngrams_of(mine, word_orders);
  Counts best;
  double best_score = -1;
  for (const std::string& reference : references) {
    const Sequences theirs = sequences_of(reference, numbers);
    const std::vector<Ngrams> expected = ngrams_of(theirs, word_orders);
    Counts counts;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      counts.push_back(expected[i].empty() ? 0 : total(found[i]));
      counts.push_back(total(expected[i]));
      counts.push_back(static_cast<double>(matches(found[i], expected[i])));
    }
    const double score = chrf_of(counts, word_order);
    if (score > best_score) best = std::move(counts), best_score = score;
  }
  return best;
}

double chrf_of(std::span<const double> counts, int word_order) {
  const std::size_t orders = kCharacterOrders + static_cast<std::size_t>(word_order);
  PROCTOR_CHECK(counts.size() == 3 * orders, "no counts of chrF");
  double precision = 0, recall = 0, shared_orders = 0;
  for (std::size_t i = 0; i < counts.size(); i += 3) {
    if (counts[i] == 0 || counts[i + 1] == 0) continue;
    precision += counts[i + 2] / counts[i];
    recall += counts[i + 2] / counts[i + 1];
    ++shared_orders;
  }
  if (precision + recall == 0) return 0;
  precision /= shared_orders;
  recall /= shared_orders;
  return 100 * ((1 + kBetaSquared) * precision * recall / (kBetaSquared * precision + recall));
}

}  // namespace proctor
