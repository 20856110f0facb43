// Where images stand: marks in a prompt, placeholders of a template, parts of a request.
#include "orchestrator/prompts/placed_image.h"

#include <gtest/gtest.h>

#include "orchestrator/prompts/message.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Role = Message::Role;
const Image kA{"a", "/a.png", 1, 2}, kB{"b", "/b.png", 3, 4};

std::vector<Part> placed(std::string text, std::vector<Image> images) {
  const std::vector<PlacedImage> marks = take_marks(text, images, "x.jsonl:1");
  return parts_of(text, marks);
}
std::string refusal(const std::string& text, const std::vector<Image>& images) {
  try {
    (void)placed(text, images);
    return "accepted";
  } catch (const InputError& error) {
    return error.what();
  }
}

TEST(PlacedImages, stand_in_front_without_a_mark_and_where_they_are_marked_else) {
  EXPECT_EQ(placed("Which?", {kA, kB}), (std::vector<Part>{kA, kB, "Which?"}));
  EXPECT_EQ(placed("Is <image> like <image>?", {kA, kB}), (std::vector<Part>{"Is ", kA, " like ", kB, "?"}));
  EXPECT_EQ(placed("<image 2><image 1> and again <image 2>", {kA, kB}), (std::vector<Part>{kB, kA, " and again ", kB}));
  EXPECT_EQ(placed("<image 2>?", {kA, kB}), (std::vector<Part>{kB, "?"})) << "others are not asked about";
  EXPECT_EQ(placed("<images> <image x> <image 1", {kA}), (std::vector<Part>{kA, "<images> <image x> <image 1"}));
}

TEST(PlacedImages, a_text_without_images_is_one_part_as_it_is) {
  EXPECT_EQ(placed("Which?", {}), (std::vector<Part>{"Which?"}));
  EXPECT_EQ(placed("", {}), (std::vector<Part>{""}));
  EXPECT_EQ(placed("", {kA}), (std::vector<Part>{kA})) << "no empty text beside an image";
}

TEST(PlacedImages, more_marks_than_images_and_images_that_are_left_over_are_refused_by_line) {
  EXPECT_EQ(refusal("<image 3>", {kA, kB}),
            "x.jsonl:1: the prompt has <image 3>, and the row has 2 images; give it more by `images`, or take the mark "
            "out");
  EXPECT_EQ(refusal("<image><image>", {kA}),
            "x.jsonl:1: the prompt has <image> for the 2. time, and the row has 1 image; give it more by `images`, or "
            "take the mark out");
  EXPECT_EQ(refusal("<image>", {}).substr(0, 70),
            "x.jsonl:1: the prompt has <image> for the 1. time, and the row has 0 i");
  EXPECT_EQ(refusal("<image 0>", {kA}).substr(0, 36), "x.jsonl:1: the prompt has <image 0>,");
  EXPECT_EQ(
      refusal("<image>?", {kA, kB}),
      "x.jsonl:1: the prompt has <image> 1 time, and the row has 2 images; mark each, name those that are meant by "
      "<image 1>, or mark none");
}

TEST(PlacedImages, a_template_has_a_placeholder_for_each) {
  EXPECT_EQ(cut_at("[I]", "u: [I][I] hi", std::vector{kA, kB}), (std::vector<Part>{"u: ", kA, kB, " hi"}));
  EXPECT_EQ(cut_at("[I]", "u: [I] hi", std::vector{kA, kB}), std::nullopt);
  EXPECT_EQ(cut_at("[I]", "u: [I][I] hi", std::vector{kA}), std::nullopt);
}

TEST(PlacedImages, examples_bring_their_own_in_plain_text_and_in_one_turn) {
  Messages messages = {{Role::system, "Look."}};
  add_example(messages, "Q: 1", "one", "", " ", "\n\n", {{3, kA}});
  add_question(messages, "Q: 2", "So:", " ", {{0, kB}});
  EXPECT_EQ(plain_parts(messages), (std::vector<Part>{"Look.Q: ", kA, "1 one\n\n", kB, "Q: 2 So:"}));
  const Messages single = single_turn(messages);
  EXPECT_EQ(single, (Messages{{Role::system, "Look."},
                              {Role::user, "Q: 1 one\n\nQ: 2", "", {{3, kA}, {10, kB}}},
                              {Role::assistant, "So:"}}));
}

}  // namespace
}  // namespace proctor
