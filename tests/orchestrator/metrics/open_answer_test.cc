#include "orchestrator/metrics/open_answer.h"

#include <gtest/gtest.h>

namespace proctor {
namespace {

TEST(OpenAnswer, a_text_stands_in_what_follows_the_last_of_an_indicator) {
  EXPECT_TRUE(open_answer("The answer is the Left Ventricle.", "left ventricle"));
  EXPECT_FALSE(open_answer("The left ventricle is shown, so the answer is: aorta.", "left ventricle"));
  EXPECT_TRUE(open_answer("left ventricle", "Left Ventricle")) << "without an indicator all of it";
  EXPECT_TRUE(open_answer("It could be iron.\nOr lead", "iron")) << "line by line";
  EXPECT_FALSE(open_answer("Iron.\nThe answer is lead", "iron"));
}

TEST(OpenAnswer, a_number_is_equal_to_two_decimals) {
  EXPECT_TRUE(open_answer("So x = 1,234 cm", "1234"));
  EXPECT_TRUE(open_answer("The result is 0.333333", "0.33"));
  EXPECT_TRUE(open_answer("about 2e-1 of it", "0.2"));
  EXPECT_FALSE(open_answer("It is 12345", "1234"));
  EXPECT_FALSE(open_answer("it is 3 and so 4", "3")) << "the shortest part counts";
}

TEST(OpenAnswer, an_equation_counts_in_the_last_line_only) {
  EXPECT_TRUE(open_answer("first\nV = 5 V", "5"));
  EXPECT_FALSE(open_answer("the answer is 7\nV = 5 Q", "V"));
  EXPECT_FALSE(open_answer("y = 5\nthe answer is 7", "5"));
}

TEST(OpenAnswer, a_single_character_needs_a_space_beside_it) {
  EXPECT_TRUE(open_answer("b", "B"));
  EXPECT_TRUE(open_answer("vitamin b complex", "B"));
  EXPECT_FALSE(open_answer("cabbage", "B"));
  EXPECT_FALSE(open_answer("", "B"));
}

}  // namespace
}  // namespace proctor
