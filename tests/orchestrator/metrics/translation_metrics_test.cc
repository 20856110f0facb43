// Expected values: corpus_score of sacrebleu 2.6.0's BLEU(), CHRF(), CHRF(word_order=2) and TER() on these pairs
// (Python 3.11). Many more, made at random: tools/compare_metrics.
#include "orchestrator/metrics/translation_metrics.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace proctor {
namespace {

constexpr double kTolerance =
    1e-9;  // libraries differ in the last digits of log and exp; one n-gram shows in the third

struct Pair {
  std::string prediction;
  std::vector<std::string> references;
};

const Pair kPlain = {"The cat sat on the mat.", {"The cat is on the mat."}};
const Pair kTwoReferences = {
    "It is a guide to action which ensures that the military always obeys the commands of the party.",
    {"It is a guide to action that ensures that the military will forever heed Party commands.",
     "It is the guiding principle which guarantees the military forces always being under the command of the Party."}};
const Pair kSmoothed = {"a b c d e", {"a c b e d"}};
const Pair kMarks = {"He paid $1,000.50 &amp; left, &quot;happy&quot;-\nmade.<skipped>",
                     {"He paid $1,000.50 & left \"happy\" -made, then 5-4."}};
const Pair kUnicode = {"Größe\u00a0ist 中文 😀 cafe\u0301!", {"größe ist 中国 😀 café!"}};
const Pair kShifted = {"b c d e f a g", {"a b c d e f g"}};
const Pair kNothing = {"", {"a b c d"}};
const Pair kNoReferenceWords = {"a b", {""}};

template <class CountsOf>
Counts sum(const std::vector<Pair>& pairs, CountsOf&& counts_of) {
  Counts total;
  for (const Pair& pair : pairs) {
    const Counts counts = counts_of(pair.prediction, pair.references);
    total.resize(counts.size());
    for (std::size_t i = 0; i < counts.size(); ++i) total[i] += counts[i];
  }
  return total;
}

Counts chrf(const Pair& pair, int word_order) { return chrf_counts(pair.prediction, pair.references, word_order); }

/// {BLEU, chrF, chrF++, TER}
std::vector<double> figures(const std::vector<Pair>& pairs) {
  const auto chrf_sum = [&](int word_order) {
    return sum(pairs,
               [&](const auto& text, const auto& references) { return chrf_counts(text, references, word_order); });
  };
  return {bleu_of(sum(pairs, bleu_counts)), chrf_of(chrf_sum(0), 0), chrf_of(chrf_sum(2), 2),
          ter_of(sum(pairs, ter_counts))};
}

void expect_figures(const std::vector<Pair>& pairs, const std::vector<double>& expected) {
  const std::vector<double> found = figures(pairs);
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], kTolerance) << pairs[0].prediction << ", metric " << i;
}

TEST(TranslationMetrics, are_sacrebleus) {
  expect_figures({kPlain}, {48.892302243490086, 67.17273492330233, 69.43695278069349, 16.666666666666664});
  expect_figures({kTwoReferences}, {44.573518321953955, 62.39771662829483, 61.520485847384734, 47.05882352941176});
  expect_figures({kSmoothed}, {15.97357760615681, 20.0, 28.57142857142857, 40.0});
  expect_figures({kMarks}, {40.01073768299052, 49.30437530867698, 46.26095963448859, 66.66666666666666});
  expect_figures({kUnicode}, {10.682175159905853, 51.23417042615146, 44.67991236339801, 40.0});
  expect_figures({kShifted}, {66.87403049764224, 51.66666666666667, 59.583333333333336, 14.285714285714285});
}

TEST(TranslationMetrics, of_a_side_without_words_are_sacrebleus) {
  expect_figures({kNothing}, {0, 0, 0, 100});
  expect_figures({kNoReferenceWords}, {0, 0, 0, 100});
  EXPECT_EQ(ter_of(ter_counts("", std::vector<std::string>{" \n"})), 0);
}

TEST(TranslationMetrics, of_a_corpus_are_of_the_summed_counts_in_any_order) {
  std::vector<Pair> corpus = {kPlain, kTwoReferences, kMarks, kUnicode};
  const std::vector<double> expected = {40.3035834394205, 58.02532398213106, 56.142988424002546, 45.94594594594595};
  expect_figures(corpus, expected);
  const std::vector<double> found = figures(corpus);
  std::ranges::reverse(corpus);
  EXPECT_EQ(figures(corpus), found);  // counts and halves add without rounding
}

TEST(TranslationMetrics, choose_among_references) {
  const std::vector<std::string> references = {"a b c d e f", "a b x", "a b c y"};
  // Three words: the reference of three, and no n-gram is matched more often than in one reference.
  EXPECT_EQ(bleu_counts("a b a", references), (Counts{3, 3, 2, 1, 0, 0, 3, 2, 1, 0}));
  EXPECT_EQ(bleu_counts("a b c d e", references)[1], 4);  // 4 and 6 are equally near
  EXPECT_EQ(ter_counts("a b c z", references), (Counts{1, 13.0 / 3}));
  EXPECT_EQ(chrf({"a b c y", references}, 2), chrf({"a b c y", {references[2]}}, 2));
}

TEST(TranslationMetrics, ter_shifts_no_run_further_than_fifty_words) {
  std::string words;
  for (int i = 0; i < 60; ++i) words += " w" + std::to_string(i);
  const auto edits = [&](int behind) {
    const auto cut = words.find(" w" + std::to_string(behind));
    const std::vector<std::string> reference = {"moved" + words};
    return ter_counts(words.substr(0, cut) + " moved" + words.substr(cut), reference)[0];
  };
  EXPECT_EQ(edits(50), 1);  // the shift
  EXPECT_EQ(edits(51), 2);  // a deletion and an insertion
}

}  // namespace
}  // namespace proctor
