#include "orchestrator/sidecar/chat_renderer.h"

#include <algorithm>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::chrono::seconds kDeadline{60};  // for the template, or some conversations
constexpr std::size_t kAtOnce = 512;           // conversations

/// A text; with images a list of parts, as transformers' templates of such models expect.
Json content_of(const Message& message) {
  if (message.images.empty()) return message.content;
  Json list = Json::array();
  for (const Part& part : parts_of(message.content, message.images)) {
    const auto* text = std::get_if<Text>(&part);
    list.push_back(text ? Json{{"type", "text"}, {"text", *text}} : Json{{"type", "image"}});
  }
  return list;
}

Json item_of(const Messages& messages, const Chat& chat) {
  Json item = chat.kwargs.value_or(Json::object());
  item["messages"] = Json::array();
  for (const Message& message : messages)
    item["messages"].push_back({{"role", to_string(message.role)}, {"content", content_of(message)}});
  const bool begun = !messages.empty() && messages.back().role == Message::Role::assistant;
  item["add_generation_prompt"] = !begun;
  item["continue_final_message"] = begun;
  return item;
}

}  // namespace

ChatTemplate ChatRenderer::open(const std::string& folder, const Chat& chat) {
  chat_ = chat;
  without_system_ = 0;
  what_ = "chat template of " + folder;
  const Json request = {{"open", folder},
                        {"template", chat.chosen ? Json(*chat.chosen) : Json()},
                        {"date", chat.date ? Json(*chat.date) : Json()}};
  const Json answer = sidecar_.ask(request, what_, kDeadline);
  ChatTemplate opened{answer.at("template").get<std::string>(), std::nullopt};
  if (const Json& tags = answer.at("reasoning"); tags.is_array())
    opened.reasoning = {tags.at(0).get<std::string>(), tags.at(1).get<std::string>()};
  return opened;
}

std::vector<std::string> ChatRenderer::render(std::span<const Messages> conversations) {
  std::vector<std::string> texts;
  for (std::size_t begin = 0; begin < conversations.size(); begin += kAtOnce) {
    const auto some = conversations.subspan(begin, std::min(kAtOnce, conversations.size() - begin));
    Json request = {{"render", Json::array()}, {"drop_system", true}};
    for (const Messages& one : some) request["render"].push_back(item_of(one, chat_));
    const Json answer = sidecar_.ask(request, what_, kDeadline);
    for (const Json& text : answer.at("texts")) texts.push_back(text.get<std::string>());
    without_system_ += answer.at("without_system").get<std::size_t>();
  }
  if (texts.size() != conversations.size()) throw EnvironmentError(what_ + ": the sidecar left out conversations");
  return texts;
}

std::string ChatRenderer::render_item(const Json& item) {
  const Json answer = sidecar_.ask({{"render", Json::array({item})}, {"drop_system", false}}, what_, kDeadline);
  return answer.at("texts").at(0).get<std::string>();
}

}  // namespace proctor
