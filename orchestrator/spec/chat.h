// How prompts become conversations: a module's keys, of which a task may change some for itself. docs/chat.md.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace proctor {

struct Chat {
  enum class Use { off, on };
  std::optional<Use> use;                        ///< absent: off, or as the module says
  std::optional<std::string> chosen;             ///< one of several of the folder, or a .jinja file; absent: its own
  std::optional<std::string> system;             ///< a system message
  std::optional<nlohmann::ordered_json> kwargs;  ///< chat_template_kwargs
  std::optional<std::string> date;               ///< what strftime_now gives, YYYY-MM-DD

  bool on() const { return use == Use::on; }
  /// What `changes` says wins; of the rest this.
  Chat changed_by(const Chat& changes) const {
    const auto either = [](const auto& first, const auto& second) { return first ? first : second; };
    return {either(changes.use, use), either(changes.chosen, chosen), either(changes.system, system),
            either(changes.kwargs, kwargs), either(changes.date, date)};
  }
};

}  // namespace proctor
