// What lmms-eval's functions at 75571cf say of these answers; tools/compare_vision_metrics does the same for random
// ones.
#include "orchestrator/metrics/short_answers.h"

#include <gtest/gtest.h>

namespace proctor {
namespace {

TEST(Anls, is_one_less_the_share_of_edits_and_nothing_below_a_half) {
  EXPECT_EQ(anls("paris", "Paris"), 1.0);
  EXPECT_EQ(anls("pariss", "paris"), 1 - 1.0 / 6);
  EXPECT_EQ(anls("ab", "ax"), 0.5);
  EXPECT_EQ(anls("abc", "axy"), 0.0);
  EXPECT_EQ(anls("", ""), 1.0);
  EXPECT_EQ(anls("", "x"), 0.0);
}

TEST(Anls, measures_lengths_before_white_space_is_squeezed) {
  EXPECT_EQ(anls("a  b", "a b"), 1.0);
  EXPECT_EQ(anls("x      y", "z y"), 1 - 1.0 / 8);
  EXPECT_EQ(anls("stra\u00dfe!", "stra\u00dfe"), 1 - 1.0 / 8) << "in upper case the sharp s is two letters";
}

TEST(RelaxedAccuracy, numbers_may_be_five_per_cent_off) {
  EXPECT_TRUE(relaxed_accuracy("105", "100"));
  EXPECT_TRUE(relaxed_accuracy("-95", "-100"));
  EXPECT_FALSE(relaxed_accuracy("105.1", "100"));
  EXPECT_FALSE(relaxed_accuracy("-100", "100"));
  EXPECT_FALSE(relaxed_accuracy("nan", "nan")) << "numbers, and not equal";
}

TEST(RelaxedAccuracy, a_percent_sign_divides_by_a_hundred) {
  EXPECT_TRUE(relaxed_accuracy("0.5", "50%"));
  EXPECT_TRUE(relaxed_accuracy("50%%", "0.5"));
  EXPECT_FALSE(relaxed_accuracy("50", "50%"));
}

TEST(RelaxedAccuracy, other_texts_are_equal_in_lower_case_or_wrong) {
  EXPECT_TRUE(relaxed_accuracy("YES", "Yes"));
  EXPECT_FALSE(relaxed_accuracy("Yes.", "Yes"));
  EXPECT_TRUE(relaxed_accuracy("0", "0"));
  EXPECT_FALSE(relaxed_accuracy("0.0", "0")) << "nothing is near zero but its own text";
  EXPECT_FALSE(relaxed_accuracy("1,000", "1000"));
}

TEST(Contains, is_of_lower_case_and_ascii_width) {
  EXPECT_TRUE(contains("The sign says \uff21\uff22\u3000C!\n", "ab c", Spaces::count));
  EXPECT_TRUE(contains("a\nb", " A B ", Spaces::count));
  EXPECT_FALSE(contains("ab", "a b", Spaces::count));
  EXPECT_TRUE(contains("anything", "", Spaces::count));
}

TEST(Contains, formulas_keep_case_and_width_and_lose_spaces) {
  EXPECT_TRUE(contains("so x ^ 2 = Y", "x^2=Y", Spaces::ignore));
  EXPECT_FALSE(contains("x^2=y", "x^2=Y", Spaces::ignore));
  EXPECT_FALSE(contains("x^\uff12", "x^2", Spaces::ignore));
}

}  // namespace
}  // namespace proctor
