// What lmms-eval's functions at 75571cf say of these answers; tools/compare_vision_metrics does the same for random
// ones.
#include "orchestrator/metrics/option_letter.h"

#include <gtest/gtest.h>

#include "orchestrator/metrics/filters.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

const Options kFour = {{'A', "red fox"}, {'B', "dog"}, {'C', "grey owl"}, {'D', "cat"}};

TEST(LetterByFormat, the_best_format_wins) {
  const auto letter = [](const std::string& text) { return letter_by_format(text, kFour); };
  EXPECT_EQ(letter("B, not (A)."), "B") << "begins with it";
  EXPECT_EQ(letter("I thought (A), it is C."), "C") << "ends with it";
  EXPECT_EQ(letter("(A) no, the answer is B, see"), "B") << "a phrase";
  EXPECT_EQ(letter("either A. or (C) here"), "C") << "brackets before a full stop";
  EXPECT_EQ(letter("maybe A: or D. here"), "D");
  EXPECT_EQ(letter("maybe A) or D: here"), "D");
  EXPECT_EQ(letter("say A now, or D) so"), "D");
  EXPECT_EQ(letter("it's xA there"), "A") << "before a space";
  EXPECT_EQ(letter("it'sBx"), "B") << "anywhere";
  EXPECT_EQ(letter("(A)? \uc815\ub2f5\uc740 C\uc785\ub2c8\ub2e4"), "C") << "a Korean phrase";
}

TEST(LetterByFormat, the_last_of_a_format_wins) {
  EXPECT_EQ(letter_by_format("first (A), then (C), then (B) it is", kFour), "B");
  EXPECT_EQ(letter_by_format("answer is A or maybe D x", kFour), "D") << "of a phrase's letters too";
}

TEST(LetterByFormat, none_is_no_letter) {
  EXPECT_EQ(letter_by_format("", kFour), "");
  EXPECT_EQ(letter_by_format(" . ", kFour), "");
  EXPECT_EQ(letter_by_format("E", kFour), "") << "not one of the options";
  EXPECT_EQ(letter_by_format("b", kFour), "");
}

TEST(LetterOrText, brackets_then_spaces_then_stops_then_the_options_text) {
  EXPECT_EQ(letter_or_text("A is wrong, (B) is (C) right", kFour), "C");
  EXPECT_EQ(letter_or_text("it is A or D then", kFour), "D");
  EXPECT_EQ(letter_or_text("A.", kFour), "A");
  EXPECT_EQ(letter_or_text("what I can see there is the DOG", kFour), "B");
  EXPECT_EQ(letter_or_text("the dog", kFour), "") << "five words and fewer: lmms-eval draws a letter";
  EXPECT_EQ(letter_or_text("what I can see there is nothing", kFour), "");
}

TEST(SingleLetterOrText, one_letter_alone_then_one_text_then_the_formats) {
  EXPECT_EQ(single_letter_or_text("B", kFour), "B");
  EXPECT_EQ(single_letter_or_text("(C).", kFour), "C");
  EXPECT_EQ(single_letter_or_text("A dog sits there", kFour), "B") << "an article, and an option's text";
  EXPECT_EQ(single_letter_or_text("dog and cat", kFour), "") << "two texts";
  EXPECT_EQ(single_letter_or_text("dog or cat, answer is: 'D'", kFour), "D");
}

TEST(LeadingLetter, is_followed_by_a_full_stop_or_the_text_stays) {
  EXPECT_EQ(leading_letter("\n B. the dog"), "B");
  EXPECT_EQ(leading_letter("B the dog"), "B the dog");
  EXPECT_EQ(leading_letter("b."), "b.");
  EXPECT_EQ(leading_letter("A"), "A");
}

std::string filtered(const Json& options, const std::string& text) {
  return apply_filter({"f", {{"option_letter", options}}}, {text}).at(0);
}

TEST(OptionLetterFilter, takes_a_number_of_letters_or_the_options_texts) {
  EXPECT_EQ(filtered(Json::object(), "the answer is (H)"), "H") << "A to H unless told";
  EXPECT_EQ(filtered({{"choices", 4}}, "(H), I think"), "");
  EXPECT_EQ(filtered({{"style", "mmmu"}, {"choices", {"red fox", "dog"}}}, "I think that it is a red fox"), "A");
  EXPECT_EQ(filtered({{"style", "mmbench"}, {"choices", {"x", "y", nullptr, ""}}}, "x or C or D"), "A")
      << "missing options have no letter";
}

TEST(OptionLetterFilter, keeps_the_text_of_rows_that_are_not_multiple_choice) {
  EXPECT_EQ(filtered({{"choices", Json::array()}}, "(A) 5 cm"), "(A) 5 cm");
  EXPECT_EQ(filtered({{"choices", 4}, {"answer", "Downhill"}}, "Downhill, A"), "Downhill, A");
  EXPECT_EQ(filtered({{"choices", 4}, {"answer", " c"}}, "C. Downhill"), "C");
}

TEST(OptionLetterFilter, wrong_options_are_refused_by_name) {
  for (const Json& options :
       {Json{{"style", "gpt"}}, Json{{"choices", 0}}, Json{{"choices", 27}}, Json{{"choices", "AB"}},
        Json{{"choices", 2.5}}, Json{{"letters", 4}}, Json{{"answer", 3}}})
    EXPECT_THROW(check_filter({"f", {{"option_letter", options}}}, "t.yaml:3:5"), UsageError) << options;
  EXPECT_NO_THROW(check_filter({"f", {{"option_letter", {{"choices", "{{options}}"}}}}}, "t.yaml:3:5"));
}

}  // namespace
}  // namespace proctor
