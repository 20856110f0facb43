#include "orchestrator/metrics/vqa_answer.h"

#include <gtest/gtest.h>

#include <vector>

namespace proctor {
namespace {

TEST(VqaNormalised, knows_no_case_articles_or_number_words) {
  EXPECT_EQ(vqa_normalised("The Two  dogs\tand A cat"), "2 dogs and cat");
  EXPECT_EQ(vqa_normalised("None of an ANT"), "0 of ant");
}

TEST(VqaNormalised, completes_contractions) {
  EXPECT_EQ(vqa_normalised("dont couldnt've couldn'tve Whos"), "don't couldn't've couldn't've who's");
  EXPECT_EQ(vqa_normalised("'ows'at ow's'at twas"), "'ow's'at ow 's'at 'twas") << "'s becomes a word first";
  EXPECT_EQ(vqa_normalised("somebody'd"), "somebodyd") << "as the original has it";
  EXPECT_EQ(vqa_normalised("Id've"), "id've") << "its key has a capital there, and never matches";
}

TEST(VqaNormalised, a_mark_goes_where_it_has_a_space_beside_it_and_is_a_space_elsewhere) {
  EXPECT_EQ(vqa_normalised("red-green"), "red green");
  EXPECT_EQ(vqa_normalised("red - a-b"), "red ab") << "one with a space decides for all";
  EXPECT_EQ(vqa_normalised("1,000?"), "1000");
  EXPECT_EQ(vqa_normalised("3.5 mr. x."), "3.5 mr x");
}

TEST(VqaNormalised, full_stops_go_up_to_the_thirty_second) { EXPECT_EQ(vqa_normalised(std::string(33, '.')), "."); }

TEST(VqaAccuracy, three_of_the_other_nine_make_an_answer_right) {
  const auto accuracy = [](int agreeing) {
    std::vector<std::string> answers(10, "blue");
    for (int i = 0; i < agreeing; ++i) answers[static_cast<std::size_t>(i)] = "the red";
    return vqa_accuracy("Red!", answers);
  };
  EXPECT_EQ(accuracy(0), 0.0);
  EXPECT_DOUBLE_EQ(accuracy(1), 0.3);
  EXPECT_DOUBLE_EQ(accuracy(2), 0.6);
  EXPECT_DOUBLE_EQ(accuracy(3), 0.9);
  EXPECT_EQ(accuracy(4), 1.0);
  EXPECT_EQ(accuracy(10), 1.0);
  EXPECT_EQ(vqa_accuracy("red", {}), 0.0);
}

}  // namespace
}  // namespace proctor
