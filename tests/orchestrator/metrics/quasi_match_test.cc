// The normal forms and F1 were printed by transformers 4.57.1's data/metrics/squad_metrics.py (Python 3.11), which is
// SQuAD 2.0's script; tools/compare_answers does the same for random texts.
#include "orchestrator/metrics/quasi_match.h"

#include <gtest/gtest.h>

namespace proctor {
namespace {

TEST(QuasiMatch, normal_form_has_no_case_punctuation_articles_or_wide_space) {
  EXPECT_EQ(quasi_normalised("The  CAT\u2014the dog's"), "cat\u2014 dogs") << "a dash ends a word";
  EXPECT_EQ(quasi_normalised("a\u2014the_x. An"), "\u2014thex") << "punctuation goes first";
  EXPECT_EQ(quasi_normalised("\u201cthe\u201d \u00c9"), "\u201c \u201d \u00e9");
  EXPECT_EQ(quasi_normalised("a\u0301"), "\u0301") << "an accent is no part of a word to Python's re";
  EXPECT_EQ(quasi_normalised("the\u00e9"), "the\u00e9");
  EXPECT_EQ(quasi_normalised("\u039f\u0394\u039f\u03a3 a-b"), "\u03bf\u03b4\u03bf\u03c2 ab");
  EXPECT_EQ(quasi_normalised(" \u00a0an\u2028"), "");
}

TEST(QuasiMatch, whole) {
  EXPECT_TRUE(exact_match_stripped(" yes\n", "yes"));
  EXPECT_FALSE(exact_match_stripped("Yes", "yes"));
  EXPECT_TRUE(quasi_exact_match("The answer: Yes.", "answer yes"));
  EXPECT_FALSE(quasi_exact_match("yes, no", "yes"));
}

TEST(QuasiMatch, prefix_is_of_the_prediction) {
  EXPECT_TRUE(prefix_exact_match(" Yes, Elmendorf", "Yes "));
  EXPECT_FALSE(prefix_exact_match("Yes", "Yes, Elmendorf"));
  EXPECT_FALSE(prefix_exact_match("yes", "Yes"));
  EXPECT_TRUE(quasi_prefix_exact_match("The YES, Elmendorf", "yes"));
  EXPECT_TRUE(quasi_prefix_exact_match("anything", "The")) << "nothing is left of the reference";
}

TEST(QuasiMatch, an_empty_prediction_matches_nothing_in_helm_and_nothing_only_in_squad) {
  for (const auto match : {exact_match_stripped, quasi_exact_match, prefix_exact_match, quasi_prefix_exact_match}) {
    EXPECT_FALSE(match("", ""));
    EXPECT_TRUE(match(" ", ""));
  }
  EXPECT_EQ(squad_exact_match("", "the"), 1.0);
  EXPECT_EQ(squad_exact_match("", "x"), 0.0);
  EXPECT_EQ(token_f1("the", "a"), 1.0);
  EXPECT_EQ(token_f1("a", "x"), 0.0);
}

TEST(QuasiMatch, f1_is_squads) {
  EXPECT_EQ(token_f1("x x y", "x y y z"), 0.5714285714285715) << "words by their counts";
  EXPECT_EQ(token_f1("50 a\u20ac", "50 \u20ac"), 1.0);
  EXPECT_EQ(token_f1("\u201cthe\u201d cat", "\u201c\u201d cat"), 0.4);
}

}  // namespace
}  // namespace proctor
