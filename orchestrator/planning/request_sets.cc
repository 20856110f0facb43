#include "orchestrator/planning/request_sets.h"

#include <utility>

#include "orchestrator/task_types/can_answer.h"
#include "orchestrator/task_types/generation.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/kinds.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

Search search_of(const Module& module) { return has_model(module.kind) ? Search::vectors : Search::words; }

/// Whether a module's prompts of a task are its own: a chat template writes them, or its answers begin with reasoning.
/// Texts of the other types stand alone. Modules without a model embed no corpus.
bool has_own_style(const Work& work, std::uint32_t m, std::uint32_t t) {
  return is_rendered(work.suite, m, t) || search_of(work.suite.modules[m]) != Search::vectors ||
         (work.suite.tasks[t].type == "generate_until" && work.suite.chat_of(m, t).named_tags());
}

CellRequests set_of(const Work& work, std::uint32_t t, const PromptStyle& style) {
  CellRequests set = build_requests(work.templates[t], work.limit, style);
  seed_draws(set.requests, work.suite.seed, work.suite.tasks[t].name);
  return set;
}

/// What sets of one task differ by.
std::string style_key(const Module& module, const Chat& chat, std::uint32_t t) {
  const ReasoningTags* tags = chat.named_tags();
  const nlohmann::json key = {chat.on() ? module.path : "", chat.chosen.value_or(""),
                              chat.system.value_or(""),     chat.kwargs.value_or(nlohmann::ordered_json()).dump(),
                              chat.date.value_or(""),       tags ? tags->start : "",
                              tags ? tags->end : "",        chat.looks_for_tags(),
                              has_model(module.kind),       t};
  return key.dump();
}

}  // namespace

bool is_rendered(const Suite& suite, std::size_t module, std::size_t task) {
  const std::string& type = suite.tasks[task].type;
  return suite.chat_of(module, task).on() &&
         (type == "generate_until" || type == "multiple_choice" || type == "loglikelihood");
}

RequestSets::RequestSets(Work& work, ConversationRenderer* renderer, ImageFiles& files, std::function<void()> ask_facts)
    : work_(work), renderer_(renderer), files_(files), ask_facts_(std::move(ask_facts)) {
  work_.chat_templates.resize(work_.suite.modules.size());
}

void RequestSets::fill(std::uint32_t t) {
  bool plain = false;
  filled_.clear();
  for (std::uint32_t m = 0; m < work_.suite.modules.size(); ++m) {
    if (!can_answer(work_.suite.modules[m], work_.suite.tasks[t])) continue;
    if (has_own_style(work_, m, t))
      fill_own(m, t);
    else
      plain = true;
  }
  if (!plain) return;
  PromptStyle style;
  style.files = &files_;
  work_.requests[t] = set_of(work_, t, style);
}

/// The requests of a (module, task) whose prompts are its own: one set for each folder and way of talking.
void RequestSets::fill_own(std::uint32_t m, std::uint32_t t) {
  const Module& module = work_.suite.modules[m];
  const Chat chat = work_.suite.chat_of(m, t);
  const auto [own, fresh] = work_.own_sets.try_emplace({ModuleId{m}, TaskId{t}}, 0);
  if (fresh) {
    own->second = sets_.try_emplace(style_key(module, chat, t), work_.requests.size()).first->second;
    if (own->second == work_.requests.size()) work_.requests.emplace_back();
  }
  const bool empty = filled_.insert(own->second).second;
  PromptStyle style;
  style.files = &files_;
  style.search = search_of(module);
  if (chat.named_tags()) style.reasoning = *chat.named_tags();
  if (chat.on() && (empty || work_.chat_templates[m].empty())) {
    PROCTOR_CHECK(renderer_, "whoever has chat templates has a renderer");
    const ChatTemplate opened = renderer_->open(module.path, chat);
    if (work_.chat_templates[m].empty()) work_.chat_templates[m] = opened.text;
    style.renderer = renderer_;
    style.system = chat.system.value_or("");
    if (chat.looks_for_tags()) style.reasoning = opened.reasoning;
  }
  if (!empty) return;
  if (work_.suite.tasks[t].images) {
    ask_facts_();
    style.module = &module;
    style.facts = &work_.facts[m];
  }
  work_.requests[own->second] = set_of(work_, t, style);
  if (fresh) tell(module.name, work_.suite.tasks[t], style);
}

void RequestSets::tell(const std::string& module, const Task& task, const PromptStyle& style) {
  const std::string who = "module " + module + ", task " + task.name + ": ";
  if (const std::size_t without = style.renderer ? renderer_->without_system() : 0)
    work_.notes.push_back(who + "its chat template refuses a system message, so " + counted(without, "conversation") +
                          " went without");
  if (task.generation.max_thinking_toks && !style.reasoning)
    work_.notes.push_back(who +
                          "max_thinking_toks does nothing: no reasoning tags are known (reasoning: {start, end})");
}

}  // namespace proctor
