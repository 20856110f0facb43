// Messages -> the text that a model was trained to read. What renders is told by an interface: production asks Python
// (sidecar/), tests write by a rule.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "orchestrator/prompts/message.h"
#include "orchestrator/spec/chat.h"

namespace proctor {

struct ChatTemplate {
  std::string text;
  std::optional<ReasoningTags> reasoning;  ///< that it, or the folder's tokenizer, knows
};

class ConversationRenderer {
 public:
  virtual ~ConversationRenderer() = default;
  /// Whose template: a model's folder, and what its module says. Throws InputError where there is none of that
  /// name, or it is no template.
  virtual ChatTemplate open(const std::string& folder, const Chat& chat) = 0;
  /// By the one that was opened last, in the order given. A conversation that ends with an assistant's message is left
  /// open behind it; any other ends with the beginning of an answer. As lm-eval: one that the template refuses is
  /// rendered without its system message. Throws InputError naming the template.
  virtual std::vector<std::string> render(std::span<const Messages> conversations) = 0;
  /// So many were rendered without their system message since the last open().
  virtual std::size_t without_system() const = 0;
};

}  // namespace proctor
