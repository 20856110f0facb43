// A prompt as messages, as plain text, and as one turn: what lm-eval 0.4.13 makes of the same.
#include "orchestrator/prompts/message.h"

#include <gtest/gtest.h>

namespace proctor {
namespace {

using Role = Message::Role;

TEST(Messages, examples_and_a_question_are_lm_evals_plain_prompt) {
  Messages messages = {{Role::system, "Answer."}};
  add_example(messages, "Q: 1", "one", "", " ", "\n\n");
  add_example(messages, "Q: 2", "", "", " ", "\n\n");  // without an answer
  add_question(messages, "Q: 3", "", " ");
  EXPECT_EQ(plain_text(messages), "Answer.Q: 1 one\n\nQ: 2Q: 3");
  EXPECT_EQ(single_turn(messages), (Messages{{Role::system, "Answer."}, {Role::user, "Q: 1 one\n\nQ: 2Q: 3"}}));
}

TEST(Messages, the_beginning_of_an_answer_stands_where_neither_has_white_space) {
  Messages messages;
  add_example(messages, "Q: 1", "one", "So:", " ", "\n\n");
  add_question(messages, "Q: 2\n", "So:", " ");
  EXPECT_EQ(plain_text(messages), "Q: 1 So: one\n\nQ: 2\nSo:");
  EXPECT_EQ(single_turn(messages), (Messages{{Role::user, "Q: 1 So: one\n\nQ: 2\n"}, {Role::assistant, "So:"}}));
  EXPECT_EQ(delimited("a", "b", "-"), "a-b");
  EXPECT_EQ(delimited("a ", "b", "-"), "a b");
  EXPECT_EQ(delimited("a", "\u00a0b", "-"), "a\u00a0b") << "Python's white space";
  EXPECT_EQ(delimited("", "b", "-"), "b");
}

}  // namespace
}  // namespace proctor
