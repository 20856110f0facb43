#include "orchestrator/planning/request_sets.h"

#include <map>

#include "orchestrator/task_types/can_answer.h"
#include "orchestrator/task_types/generation.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

/// Whether a module's prompts of a task are its own: a chat template writes them, or its answers begin with reasoning.
/// Texts of the other types stand alone.
bool has_own_style(const Work& work, std::uint32_t m, std::uint32_t t) {
  return is_rendered(work.suite, m, t) ||
         (work.suite.tasks[t].type == "generate_until" && work.suite.chat_of(m, t).named_tags());
}

/// One more set: of a task, in this style.
void add_set(Work& work, std::uint32_t t, const PromptStyle& style) {
  work.requests.push_back(build_requests(work.templates[t], work.limit, style));
  seed_draws(work.requests.back().requests, work.suite.seed, work.suite.tasks[t].name);
}

/// What sets of one task differ by.
std::string style_key(const Module& module, const Chat& chat, std::uint32_t t) {
  const ReasoningTags* tags = chat.named_tags();
  const nlohmann::json key = {chat.on() ? module.path : "",
                              chat.chosen.value_or(""),
                              chat.system.value_or(""),
                              chat.kwargs.value_or(nlohmann::ordered_json()).dump(),
                              chat.date.value_or(""),
                              tags ? tags->start : "",
                              tags ? tags->end : "",
                              chat.looks_for_tags(),
                              t};
  return key.dump();
}

class OwnStyles {
 public:
  OwnStyles(Work& work, ConversationRenderer* renderer, ImageFiles& files, const std::function<void()>& ask_facts)
      : work_(work), renderer_(renderer), files_(files), ask_facts_(ask_facts) {
    work_.chat_templates.resize(work_.suite.modules.size());
  }

  /// The requests of a (module, task) whose prompts are its own: one set for each folder and way of talking.
  void add(std::uint32_t m, std::uint32_t t) {
    const Module& module = work_.suite.modules[m];
    const Chat chat = work_.suite.chat_of(m, t);
    const auto [known, fresh] = sets_.try_emplace(style_key(module, chat, t), work_.requests.size());
    work_.own_sets[{ModuleId{m}, TaskId{t}}] = known->second;
    PromptStyle style;
    style.files = &files_;
    if (chat.named_tags()) style.reasoning = *chat.named_tags();
    if (chat.on() && (fresh || work_.chat_templates[m].empty())) {
      PROCTOR_CHECK(renderer_, "whoever has chat templates has a renderer");
      const ChatTemplate opened = renderer_->open(module.path, chat);
      if (work_.chat_templates[m].empty()) work_.chat_templates[m] = opened.text;
      style.renderer = renderer_;
      style.system = chat.system.value_or("");
      if (chat.looks_for_tags()) style.reasoning = opened.reasoning;
    }
    if (!fresh) return;
    if (work_.suite.tasks[t].images) {
      ask_facts_();
      style.module = &module;
      style.facts = &work_.facts[m];
    }
    add_set(work_, t, style);
    tell(module.name, work_.suite.tasks[t], style);
  }

 private:
  void tell(const std::string& module, const Task& task, const PromptStyle& style) {
    const std::string who = "module " + module + ", task " + task.name + ": ";
    if (const std::size_t without = style.renderer ? renderer_->without_system() : 0)
      work_.notes.push_back(who + "its chat template refuses a system message, so " + counted(without, "conversation") +
                            " went without");
    if (task.generation.max_thinking_toks && !style.reasoning)
      work_.notes.push_back(who +
                            "max_thinking_toks does nothing: no reasoning tags are known (reasoning: {start, end})");
  }
  Work& work_;
  ConversationRenderer* renderer_;
  ImageFiles& files_;
  const std::function<void()>& ask_facts_;
  std::map<std::string, std::size_t> sets_;
};

}  // namespace

bool is_rendered(const Suite& suite, std::size_t module, std::size_t task) {
  const std::string& type = suite.tasks[task].type;
  return suite.chat_of(module, task).on() &&
         (type == "generate_until" || type == "multiple_choice" || type == "loglikelihood");
}

/// The requests of every task as plain text, where a module takes them so; then those in a style of their own.
void add_requests(Work& work, ConversationRenderer* renderer, ImageFiles& files,
                  const std::function<void()>& ask_facts) {
  const auto modules = static_cast<std::uint32_t>(work.suite.modules.size());
  const auto answers = [&](std::uint32_t m, std::uint32_t t) {
    return can_answer(work.suite.modules[m], work.suite.tasks[t]);
  };
  for (std::uint32_t t = 0; t < work.templates.size(); ++t) {
    bool plain = false;
    for (std::uint32_t m = 0; m < modules; ++m) plain = plain || (answers(m, t) && !has_own_style(work, m, t));
    PromptStyle style;
    style.files = &files;
    if (plain)
      add_set(work, t, style);
    else
      work.requests.emplace_back();
  }
  OwnStyles styles(work, renderer, files, ask_facts);
  for (std::uint32_t m = 0; m < modules; ++m)
    for (std::uint32_t t = 0; t < work.suite.tasks.size(); ++t)
      if (answers(m, t) && has_own_style(work, m, t)) styles.add(m, t);
}

}  // namespace proctor
