// Renders conversations by Python's jinja2 (sidecar.h).
#pragma once

#include <string>
#include <vector>

#include "orchestrator/prompts/conversation.h"
#include "orchestrator/sidecar/sidecar.h"

namespace proctor {

class ChatRenderer final : public ConversationRenderer {
 public:
  /// The sidecar outlives this.
  explicit ChatRenderer(LazySidecar& sidecar) : sidecar_(sidecar) {}
  ChatTemplate open(const std::string& folder, const Chat& chat) override;
  std::vector<std::string> render(std::span<const Messages> conversations) override;
  std::size_t without_system() const override { return without_system_; }
  /// An item as `proctor render` reads it: {"messages": [...], and whatever goes into the template}.
  std::string render_item(const nlohmann::ordered_json& item);

 private:
  LazySidecar& sidecar_;
  std::string what_;
  Chat chat_;
  std::size_t without_system_ = 0;
};

}  // namespace proctor
