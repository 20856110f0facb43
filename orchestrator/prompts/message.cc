#include "orchestrator/prompts/message.h"

#include <utility>

#include "orchestrator/cpython/python_text.h"

namespace proctor {
namespace {

/// lm-eval's requires_delimiter: neither has white space at the join.
bool needs_delimiter(const std::string& first, const std::string& second) {
  return !first.empty() && !python::ends_with_space(first) && !python::begins_with_space(second);
}

}  // namespace

const char* to_string(Message::Role role) {
  return role == Message::Role::system ? "system" : role == Message::Role::user ? "user" : "assistant";
}

std::string plain_text(const Messages& messages) {
  std::string text;
  for (const Message& message : messages) text += message.content + message.delimiter;
  return text;
}

namespace {

/// Of messages behind each other.
std::vector<PlacedImage> images_of(const Messages& messages) {
  std::vector<PlacedImage> images;
  std::size_t begin = 0;
  for (const Message& message : messages) {
    for (const PlacedImage& one : message.images) images.push_back({begin + one.at, one.image});
    begin += message.content.size() + message.delimiter.size();
  }
  return images;
}

}  // namespace

std::vector<Part> plain_parts(const Messages& messages) { return parts_of(plain_text(messages), images_of(messages)); }

Messages single_turn(const Messages& messages) {
  Messages out, said = messages, answer;
  if (!said.empty() && said.front().role == Message::Role::system) {
    out.push_back(said.front());
    said.erase(said.begin());
  }
  if (!said.empty() && said.back().role == Message::Role::assistant) {
    answer.push_back(said.back());
    said.pop_back();
  }
  if (!said.empty()) said.back().delimiter.clear();
  out.push_back({Message::Role::user, plain_text(said), {}, images_of(said)});
  out.insert(out.end(), answer.begin(), answer.end());
  return out;
}

std::string delimited(const std::string& first, const std::string& second, const std::string& delimiter) {
  if (first.empty() || second.empty()) return first + second;
  return first + (needs_delimiter(first, second) ? delimiter : "") + second;
}

void add_example(Messages& messages, const std::string& question, const std::string& answer, const std::string& prefix,
                 const std::string& target_delimiter, const std::string& fewshot_delimiter,
                 std::vector<PlacedImage> images) {
  if (answer.empty()) return add_question(messages, question, prefix, target_delimiter, std::move(images));
  const bool apart = prefix.empty() || needs_delimiter(question, prefix);
  messages.push_back({Message::Role::user, question, apart ? target_delimiter : "", std::move(images)});
  messages.push_back({Message::Role::assistant, delimited(prefix, answer, " "), fewshot_delimiter});
}

void add_question(Messages& messages, std::string question, const std::string& prefix,
                  const std::string& target_delimiter, std::vector<PlacedImage> images) {
  const bool apart = !prefix.empty() && needs_delimiter(question, prefix);
  messages.push_back({Message::Role::user, std::move(question), apart ? target_delimiter : "", std::move(images)});
  if (!prefix.empty()) messages.push_back({Message::Role::assistant, prefix});
}

}  // namespace proctor
