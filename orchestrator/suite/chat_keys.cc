// chat_template, system, chat_template_kwargs, chat_date, reasoning.
#include <cstdio>

#include "orchestrator/suite/yaml_fields.h"
#include "sharding/protocol/input_file.h"

namespace proctor {
namespace {

bool is_date(const std::string& text) {
  int year = 0, month = 0, day = 0, end = 0;
  if (text.size() != 10 || std::sscanf(text.c_str(), "%4d-%2d-%2d%n", &year, &month, &day, &end) != 3) return false;
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return end == 10 && year > 0 && month >= 1 && month <= 12 && day >= 1 &&
         day <= kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

std::variant<ReasoningUse, ReasoningTags> read_reasoning(YamlFields& fields) {
  const YAML::Node node = fields.find("reasoning");
  if (node.IsScalar() && node.Scalar() == "auto") return ReasoningUse::automatic;
  if (node.IsScalar() && (node.Scalar() == "none" || node.Scalar() == "false")) return ReasoningUse::none;
  if (!node.IsMap()) fields.refuse("reasoning", "expected auto, none, or {start: \"<think>\", end: \"</think>\"}");
  YamlFields tags = fields.map("reasoning", "reasoning");
  ReasoningTags found{tags.required_text("start"), tags.required_text("end")};
  if (found.start.empty() || found.end.empty() || found.start == found.end)
    fields.refuse("reasoning", "start and end are two different texts");
  tags.finish();
  return found;
}

}  // namespace

Chat read_chat(YamlFields& fields) {
  Chat chat;
  if (const std::string text = fields.text("chat_template", ""); fields.has("chat_template")) {
    if (text == "true" || text == "false") {
      chat.use = text == "true" ? Chat::Use::on : Chat::Use::off;
    } else {
      if (text.empty()) fields.refuse("chat_template", "expected true, false, a template's name or a .jinja file");
      chat.use = Chat::Use::on;
      chat.chosen = text;
      if (text.ends_with(".jinja")) {
        chat.chosen = path_beside(fields.file(), text);
        if (const auto why = why_no_file(*chat.chosen)) fields.refuse("chat_template", *chat.chosen + ": " + *why);
        if (!is_there(*chat.chosen)) fields.refuse("chat_template", *chat.chosen + ": no such file");
      }
    }
  }
  if (fields.has("system")) chat.system = fields.text("system", "");
  if (fields.has("chat_template_kwargs")) {
    const YAML::Node kwargs = fields.find("chat_template_kwargs");
    if (!kwargs.IsMap()) fields.refuse("chat_template_kwargs", "expected a map, such as {enable_thinking: false}");
    chat.kwargs = nlohmann::ordered_json::parse(json_of(kwargs).dump());
    for (const char* own : {"messages", "add_generation_prompt", "continue_final_message"})
      if (chat.kwargs->contains(own))
        fields.refuse("chat_template_kwargs", std::string("'") + own + "' is proctor's to say");
  }
  if (fields.has("chat_date")) {
    chat.date = fields.text("chat_date", "");
    if (!is_date(*chat.date))
      fields.refuse("chat_date", "expected a day such as 2026-01-31, found '" + *chat.date + "'");
  }
  if (fields.has("reasoning")) chat.reasoning = read_reasoning(fields);
  const bool more = chat.system || chat.kwargs || chat.date;
  if (more && chat.use == Chat::Use::off)
    fields.refuse("chat_template", "is false, so system, chat_template_kwargs and chat_date would do nothing");
  return chat;
}

}  // namespace proctor
