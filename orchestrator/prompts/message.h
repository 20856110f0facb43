// A prompt as messages, and what they are as plain text: lm-eval 0.4.13's Message, build_qa_turn and
// multiturn_to_singleturn (api/task.py, api/utils.py).
#pragma once

#include <string>
#include <vector>

#include "orchestrator/prompts/placed_image.h"

namespace proctor {

struct Message {
  enum class Role { system, user, assistant } role = Role::user;
  std::string content;
  std::string delimiter = {};  ///< behind it in plain text; no part of a conversation
  std::vector<PlacedImage> images = {};
  bool operator==(const Message&) const = default;
};
using Messages = std::vector<Message>;

const char* to_string(Message::Role role);
std::string plain_text(const Messages& messages);
/// The same with the images where they stand.
std::vector<Part> plain_parts(const Messages& messages);
/// One user message of all that was said, between a system message and the beginning of an answer, if there are any.
Messages single_turn(const Messages& messages);
/// Both, with the delimiter between them where neither has white space there.
std::string delimited(const std::string& first, const std::string& second, const std::string& delimiter);
/// A question with its answer, as an example has it. `prefix`: the beginning of the answer (gen_prefix), or "".
void add_example(Messages& messages, const std::string& question, const std::string& answer, const std::string& prefix,
                 const std::string& target_delimiter, const std::string& fewshot_delimiter,
                 std::vector<PlacedImage> images = {});
/// The question that is to be answered.
void add_question(Messages& messages, std::string question, const std::string& prefix,
                  const std::string& target_delimiter, std::vector<PlacedImage> images = {});

}  // namespace proctor
