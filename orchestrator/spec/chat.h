// How prompts become conversations: a module's keys, of which a task may change some for itself. docs/chat.md.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>

namespace proctor {

/// The texts that a model puts around its reasoning.
struct ReasoningTags {
  std::string start, end;
  bool operator==(const ReasoningTags&) const = default;
};
/// Known from the template and the tokenizer; or not looked for.
enum class ReasoningUse { automatic, none };

struct Chat {
  enum class Use { off, on };
  std::optional<Use> use;                        ///< absent: off, or as the module says
  std::optional<std::string> chosen;             ///< one of several of the folder, or a .jinja file; absent: its own
  std::optional<std::string> system;             ///< a system message
  std::optional<nlohmann::ordered_json> kwargs;  ///< chat_template_kwargs
  std::optional<std::string> date;               ///< what strftime_now gives, YYYY-MM-DD

  std::optional<std::variant<ReasoningUse, ReasoningTags>> reasoning;  ///< absent: automatic

  bool on() const { return use == Use::on; }
  /// Nothing where they are not named.
  const ReasoningTags* named_tags() const { return reasoning ? std::get_if<ReasoningTags>(&*reasoning) : nullptr; }
  bool looks_for_tags() const {
    return !reasoning || *reasoning == decltype(reasoning)::value_type(ReasoningUse::automatic);
  }
  /// What `changes` says wins; of the rest this.
  Chat changed_by(const Chat& changes) const {
    const auto either = [](const auto& first, const auto& second) { return first ? first : second; };
    return {either(changes.use, use),       either(changes.chosen, chosen), either(changes.system, system),
            either(changes.kwargs, kwargs), either(changes.date, date),     either(changes.reasoning, reasoning)};
  }
};

}  // namespace proctor
