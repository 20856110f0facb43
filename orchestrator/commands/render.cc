#include "orchestrator/commands/render.h"

#include <filesystem>
#include <istream>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "orchestrator/base/machine.h"
#include "orchestrator/sidecar/chat_renderer.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

/// A text of the item's that is no variable of the template; it is taken out.
std::optional<std::string> taken(Json& item, const char* key) {
  if (!item.contains(key)) return std::nullopt;
  const Json value = item.at(key);
  item.erase(key);
  if (value.is_null()) return std::nullopt;
  if (!value.is_string()) throw InputError(std::string("\"") + key + "\" is no text");
  return value.get<std::string>();
}

}  // namespace

void render(const std::string& folder, std::istream& in, std::ostream& out) {
  std::error_code none;
  if (!std::filesystem::is_directory(folder, none)) throw InputError(folder + ": no such model folder");
  LazySidecar sidecar("");
  ChatRenderer renderer(sidecar);
  std::optional<std::string> opened;
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      Json item = Json::parse(line);
      if (!item.is_object() || !item.contains("messages") || !item["messages"].is_array())
        throw InputError("expected an object with a list of messages");
      Chat chat;
      chat.chosen = taken(item, "template");
      chat.date = taken(item, "chat_date");
      if (!chat.date) chat.date = today();
      const std::string key = chat.chosen.value_or("") + "\n" + *chat.date;
      if (opened != key) (void)renderer.open(folder, chat);
      opened = key;
      out << Json(renderer.render_item(item)).dump() << "\n";
    } catch (const Json::exception& error) {
      throw InputError("line " + std::to_string(number) + ": " + error.what());
    } catch (const InputError& error) {
      throw InputError("line " + std::to_string(number) + ": " + error.what());
    }
  }
}

}  // namespace proctor
