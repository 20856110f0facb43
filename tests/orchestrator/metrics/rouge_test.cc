// Expected values: RougeScorer of rouge_score 0.1.2 (fmeasure, use_stemmer False and True) and PorterStemmer().stem of
// nltk 3.10.4 (Python 3.11). Many more, made at random: tools/compare_metrics.
#include "orchestrator/metrics/rouge.h"

#include <gtest/gtest.h>

#include <utility>

#include "orchestrator/metrics/porter_stemmer.h"

namespace proctor {
namespace {

void expect_rouge(const RougeScores& found, const RougeScores& expected) {
  EXPECT_DOUBLE_EQ(found.rouge1, expected.rouge1);
  EXPECT_DOUBLE_EQ(found.rouge2, expected.rouge2);
  EXPECT_DOUBLE_EQ(found.rougeL, expected.rougeL);
  EXPECT_DOUBLE_EQ(found.rougeLsum, expected.rougeLsum);
}

TEST(Rouge, is_rouge_scores_with_and_without_stems) {
  const std::string prediction = "The runner was running quickly.\nHe won the races!",
                    reference = "Runners run quick; he wins a race.\nThe crowd cheered.";
  expect_rouge(rouge(prediction, reference, Stem::none),
               {0.2105263157894737, 0.0, 0.2105263157894737, 0.2105263157894737});
  expect_rouge(rouge(prediction, reference, Stem::porter),
               {0.5263157894736842, 0.0, 0.4210526315789474, 0.5263157894736842});
}

TEST(Rouge, unites_the_subsequences_of_lines_and_counts_a_word_once) {
  expect_rouge(rouge("a b c d\nb a c e", "c a b\nb c d e a", Stem::none), {1.0, 0.42857142857142855, 0.625, 0.875});
  expect_rouge(rouge("a b", "a\na b\na c", Stem::none),
               {0.5714285714285715, 0.4, 0.5714285714285715, 0.5714285714285715});
}

TEST(Rouge, lowers_as_python_and_drops_what_is_not_ascii) {
  // é parts "Café"; the sign of Kelvin becomes a k.
  expect_rouge(rouge("Café \u212aelvin 3.5", "cafe kelvin 3 5", Stem::none), {0.75, 0.6666666666666666, 0.75, 0.75});
}

TEST(Rouge, is_zero_without_words_or_without_common_ones) {
  for (const auto& [prediction, reference] :
       {std::pair{"", "a"}, std::pair{"a", ""}, std::pair{"...", "..."}, std::pair{"a", "b"}})
    expect_rouge(rouge(prediction, reference, Stem::porter), {0, 0, 0, 0});
}

TEST(PorterStem, is_nltks) {
  const std::pair<const char*, const char*> cases[] = {
      {"caresses", "caress"},  {"ponies", "poni"},     {"ties", "tie"},          {"dies", "die"},
      {"flies", "fli"},        {"died", "die"},        {"spied", "spi"},         {"agreed", "agre"},
      {"feed", "feed"},        {"hopping", "hop"},     {"falling", "fall"},      {"filing", "file"},
      {"using", "use"},        {"enjoy", "enjoy"},     {"spy", "spi"},           {"sky", "sky"},
      {"skies", "sky"},        {"radically", "radic"}, {"geology", "geolog"},    {"relational", "relat"},
      {"adoption", "adopt"},   {"rate", "rate"},       {"cease", "ceas"},        {"communion", "communion"},
      {"controll", "control"}, {"roll", "roll"},       {"conflated", "conflat"}, {"yyyy", "yyyi"},
      {"innings", "inning"},   {"on", "on"},           {"2nds", "2nd"}};
  for (const auto& [word, stem] : cases) EXPECT_EQ(porter_stem(word), stem);
}

}  // namespace
}  // namespace proctor
