#include "orchestrator/planning/cell_requests.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/data/documents.h"
#include "orchestrator/planning/fewshot.h"
#include "orchestrator/planning/image_requests.h"
#include "orchestrator/planning/message_size.h"
#include "orchestrator/planning/row_images.h"
#include "orchestrator/prompts/placed_image.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/wording.h"

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

/// What a template has written, with the images where its placeholders stand.
std::vector<Part> cut(std::string text, const Messages& messages, const std::string& where, const PromptStyle& style) {
  std::vector<Image> images;
  for (const Message& message : messages)
    for (const PlacedImage& one : message.images) images.push_back(one.image);
  if (images.empty()) return {std::move(text)};
  const std::string& placeholder = style.facts->vision.placeholder;
  if (auto parts = cut_at(placeholder, text, images)) return std::move(*parts);
  throw InputError(where + ": the chat template of " + style.module->path + " writes '" + placeholder + "' " +
                   counted(count_of(placeholder, text), "time") + " for " + counted(images.size(), "image") +
                   "; name one that writes images by chat_template, or leave chat_template out");
}

/// Before a template sees images: its model reads them, and no text writes what stands for them.
void check_images(const Messages& messages, const Task& task, const std::string& where, const PromptStyle& style) {
  if (std::ranges::none_of(messages, [](const Message& message) { return !message.images.empty(); })) return;
  refuse_blind(*style.module, *style.facts, task, where);
  for (const Message& message : messages) refuse_placeholder(message.content, style.facts->vision, where);
}

/// `of`: the document of each conversation.
std::vector<std::vector<Part>> written(std::vector<Messages> conversations, std::span<const Document* const> of,
                                       const Task& task, const PromptStyle& style) {
  std::vector<std::vector<Part>> contexts;
  if (!style.renderer) {
    for (const Messages& one : conversations) contexts.push_back(plain_parts(one));
    return contexts;
  }
  if (task.images)
    for (std::size_t i = 0; i < of.size(); ++i) check_images(conversations[i], task, of[i]->where(), style);
  if (task.fewshot.as == FewShot::As::text)
    for (Messages& one : conversations) one = single_turn(one);
  std::vector<std::string> texts = style.renderer->render(conversations);
  for (std::size_t i = 0; i < of.size(); ++i)
    contexts.push_back(cut(std::move(texts[i]), conversations[i], of[i]->where(), style));
  return contexts;
}

/// Whether a prompt ends just behind the beginning of a trace.
bool opens_trace(const std::string& prompt, const ReasoningTags& tags) {
  const std::string text = python::strip(prompt);
  return text.ends_with(python::strip(tags.start));
}

void watch_reasoning(std::vector<Request>& requests, const Task& task, const ReasoningTags& tags) {
  for (Request& request : requests) {
    const std::span<const Part> context = context_of(request);
    const auto* end = context.empty() ? nullptr : std::get_if<Text>(&context.back());
    const bool opened = end && opens_trace(*end, tags);
    if (auto* generate = std::get_if<Generate>(&request.ask))
      generate->reasoning = {tags.start, tags.end, opened, task.generation.max_thinking_toks};
    else if (opened)
      throw UsageError("task " + task.name + ": the chat template opens a reasoning trace (" + tags.start +
                       ") where the answer would stand, so that nothing can be scored behind it; set "
                       "chat_template_kwargs: {enable_thinking: false} where the template has it, or reasoning: none");
  }
}

/// What is cut off could be an image.
void never_truncate(std::vector<Request>& requests) {
  for (Request& request : requests) {
    if (!has_image(request)) continue;
    if (auto* generate = std::get_if<Generate>(&request.ask)) generate->on_long = OnLong::fail;
    if (auto* scored = std::get_if<Loglikelihood>(&request.ask)) scored->on_long = OnLong::fail;
  }
}

/// One task's requests, some documents at a time.
class Builder {
 public:
  Builder(const TaskTemplates& task, const TaskType& type, const PromptStyle& style)
      : task_(task),
        spec_(*task.task),
        type_(type),
        style_(style),
        may_have_images_(style.files && may_have_images(spec_)),
        all_(rows_of("test")),
        other_(same_split() || spec_.fewshot.count == 0 ? std::vector<Document>{} : rows_of(spec_.fewshot.split)),
        sampler_(spec_, pool()) {}

  CellRequests build(DocumentLimit limit) {
    const std::size_t count = spec_.upstream ? all_.size() : limit.of(all_.size());  // what it reads was limited
    const std::size_t at_once = style_.renderer ? kRenderedAtOnce : 1;
    for (std::size_t begin = 0; begin < count; begin += at_once) add(begin, std::min(count, begin + at_once));
    cell_.first_request.push_back(static_cast<std::uint32_t>(cell_.requests.size()));
    all_.resize(count);
    cell_.documents = std::move(all_);
    return std::move(cell_);
  }

 private:
  bool same_split() const { return spec_.fewshot.split == "test"; }
  std::vector<Document>& pool() { return same_split() ? all_ : other_; }
  std::vector<Document> rows_of(const std::string& split) const {
    if (spec_.upstream && split == "test") return task_.rows;
    return read_documents(spec_.data.at(split), task_.tables,
                          may_have_images_ ? pictures_of(task_, *style_.files) : Pictures{});
  }
  std::vector<const Document*> examples_of(Document& document) {
    std::vector<const Document*> examples = sampler_.draw(document);
    if (!may_have_images_) return examples;
    find_images(task_, document, *style_.files);
    for (const Document* one : examples)
      find_images(task_, pool()[static_cast<std::size_t>(one - pool().data())], *style_.files);
    return examples;
  }

  /// The documents [begin, end).
  void add(std::size_t begin, std::size_t end) {
    std::vector<Messages> conversations;
    std::vector<const Document*> of;       // of each conversation
    std::vector<std::size_t> first = {0};  // of each document
    for (std::size_t d = begin; d < end; ++d) {
      if (!all_[d].failure.empty()) {
        first.push_back(conversations.size());
        continue;
      }
      const std::vector<const Document*> examples = examples_of(all_[d]);
      attempt(all_[d], [&] {
        for (std::string& question : type_.questions(task_, all_[d]))
          conversations.push_back(
              assemble_messages(task_, type_, style_.system, examples, all_[d], std::move(question)));
      });
      of.resize(conversations.size(), &all_[d]);
      first.push_back(conversations.size());
    }
    std::vector<std::vector<Part>> contexts = written(std::move(conversations), of, spec_, style_);
    Prompt prompt{{}, delimiter_of(spec_, style_)};
    for (std::size_t d = begin; d < end; ++d) {
      prompt.contexts.clear();
      for (std::size_t i = first[d - begin]; i < first[d - begin + 1]; ++i)
        prompt.contexts.push_back(std::move(contexts[i]));
      std::vector<Request> requests;
      if (all_[d].failure.empty())
        attempt(all_[d], [&] {
          requests = type_.requests(task_, all_[d], prompt);
          refuse_past_message(requests, all_[d].where());
        });
      if (!all_[d].failure.empty()) requests.clear();
      add(std::move(requests));
    }
  }
  /// A row that an answer made costs itself alone; one of a file is told before anything has run.
  template <class Act>
  void attempt(Document& row, Act act) const {
    if (!spec_.upstream || task_.rows_are_foreseen) return act();
    try {
      act();
    } catch (const InputError& error) {
      row.failure = error.what();
    }
  }
  void add(std::vector<Request> requests) {
    if (may_have_images_) never_truncate(requests);
    if (style_.reasoning) watch_reasoning(requests, spec_, *style_.reasoning);
    cell_.first_request.push_back(static_cast<std::uint32_t>(cell_.requests.size()));
    std::ranges::move(requests, std::back_inserter(cell_.requests));
  }

  const TaskTemplates& task_;
  const Task& spec_;
  const TaskType& type_;
  const PromptStyle& style_;
  const bool may_have_images_;
  std::vector<Document> all_, other_;  // the evaluated ones; those that examples are drawn of, unless they are the same
  FewShotSampler sampler_;
  CellRequests cell_;
};

}  // namespace

CellRequests build_requests(const TaskTemplates& task, DocumentLimit limit, const PromptStyle& style) {
  const TaskType& type = task_type_of(*task.task);
  if (std::optional<CellRequests> whole = type.build(task, limit, style.search)) {
    for (const Request& request : whole->requests) refuse_past_message({&request, 1}, "task " + task.task->name);
    return std::move(*whole);
  }
  return Builder(task, type, style).build(limit);
}

}  // namespace proctor
