#include "orchestrator/planning/cell_requests.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/data/documents.h"
#include "orchestrator/planning/fewshot.h"
#include "orchestrator/planning/message_size.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr std::size_t kRenderedAtOnce = 512;  // documents whose conversations are rendered together

/// A row's requests travel together.
void refuse_past_message(std::span<const Request> requests, const std::string& where) {
  if (const std::size_t bytes = message_bytes(requests); bytes > kMostMessageBytes)
    throw InputError(where + ": asks with texts of " + std::to_string(bytes >> 20) + " MiB, past the " +
                     std::to_string(kMostMessageBytes >> 20) + " MiB that a worker is sent at once");
}

/// Between a context and a choice: a template writes what comes before an answer itself, unless one has been begun.
std::string delimiter_of(const Task& task, const PromptStyle& style) {
  const bool begun = !task.gen_prefix.empty() && !python::ends_with_space(task.gen_prefix);
  return style.renderer && !begun ? "" : task.target_delimiter;
}

std::vector<std::string> written(const std::vector<Messages>& conversations, const Task& task,
                                 const PromptStyle& style) {
  std::vector<std::string> texts;
  if (!style.renderer) {
    for (const Messages& one : conversations) texts.push_back(plain_text(one));
    return texts;
  }
  if (task.fewshot.as == FewShot::As::turns) return style.renderer->render(conversations);
  std::vector<Messages> single;
  for (const Messages& one : conversations) single.push_back(single_turn(one));
  return style.renderer->render(single);
}

/// Whether a prompt ends just behind the beginning of a trace.
bool opens_trace(const std::string& prompt, const ReasoningTags& tags) {
  const std::string text = python::strip(prompt);
  return text.ends_with(python::strip(tags.start));
}

void watch_reasoning(std::vector<Request>& requests, const Task& task, const ReasoningTags& tags) {
  for (Request& request : requests) {
    const bool opened = opens_trace(text_of(request, 0), tags);
    if (auto* generate = std::get_if<Generate>(&request.ask))
      generate->reasoning = {tags.start, tags.end, opened, task.generation.max_thinking_toks};
    else if (opened)
      throw UsageError("task " + task.name + ": the chat template opens a reasoning trace (" + tags.start +
                       ") where the answer would stand, so that nothing can be scored behind it; set "
                       "chat_template_kwargs: {enable_thinking: false} where the template has it, or reasoning: none");
  }
}

}  // namespace

CellRequests build_requests(const TaskTemplates& task, DocumentLimit limit, const PromptStyle& style) {
  const Task& spec = *task.task;
  const TaskType& type = task_type_of(spec);
  if (std::optional<CellRequests> whole = type.build(task, limit)) {
    for (const Request& request : whole->requests) refuse_past_message({&request, 1}, "task " + spec.name);
    return std::move(*whole);
  }
  CellRequests cell;
  std::vector<Document> all = read_documents(spec.data.at("test"), task.tables);
  const bool same_split = spec.fewshot.split == "test";
  const std::vector<Document> other = same_split || spec.fewshot.count == 0
                                          ? std::vector<Document>{}
                                          : read_documents(spec.data.at(spec.fewshot.split), task.tables);
  FewShotSampler sampler(spec, same_split ? std::span<const Document>(all) : std::span<const Document>(other));
  const std::size_t count = limit.of(all.size());
  Prompt prompt{{}, delimiter_of(spec, style)};
  const std::size_t at_once = style.renderer ? kRenderedAtOnce : 1;
  for (std::size_t begin = 0; begin < count; begin += at_once) {
    const std::size_t end = std::min(count, begin + at_once);
    std::vector<Messages> conversations;
    std::vector<std::size_t> first = {0};  // of each document
    for (std::size_t d = begin; d < end; ++d) {
      const std::vector<const Document*> examples = sampler.draw(all[d]);
      for (std::string& question : type.questions(task, all[d]))
        conversations.push_back(assemble_messages(task, type, style.system, examples, all[d], std::move(question)));
      first.push_back(conversations.size());
    }
    std::vector<std::string> texts = written(conversations, spec, style);
    for (std::size_t d = begin; d < end; ++d) {
      prompt.contexts.clear();
      for (std::size_t i = first[d - begin]; i < first[d - begin + 1]; ++i)
        prompt.contexts.push_back(std::move(texts[i]));
      cell.first_request.push_back(static_cast<std::uint32_t>(cell.requests.size()));
      std::vector<Request> requests = type.requests(task, all[d], prompt);
      if (style.reasoning) watch_reasoning(requests, spec, *style.reasoning);
      refuse_past_message(requests, all[d].where());
      std::ranges::move(requests, std::back_inserter(cell.requests));
    }
  }
  cell.first_request.push_back(static_cast<std::uint32_t>(cell.requests.size()));
  all.resize(count);
  cell.documents = std::move(all);
  return cell;
}

}  // namespace proctor
