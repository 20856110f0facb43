#include "orchestrator/planning/fewshot.h"

#include <algorithm>
#include <utility>

#include "orchestrator/cpython/python_text.h"
#include "sharding/protocol/error.h"

namespace proctor {

FewShotSampler::FewShotSampler(const Task& task, std::span<const Document> pool)
    : task_(task), pool_(pool), same_split_(task.fewshot.split == "test"), random_(task.fewshot.seed) {
  const auto needed = static_cast<std::size_t>(task.fewshot.count) + (same_split_ && task.fewshot.count > 0 ? 1 : 0);
  if (pool.size() < needed)
    throw UsageError(task.file + ": task " + task.name + ": " + std::to_string(task.fewshot.count) +
                     " few-shot examples need " + std::to_string(needed) + " rows in split '" + task.fewshot.split +
                     "', it has " + std::to_string(pool.size()));
}

std::vector<const Document*> FewShotSampler::draw(const Document& evaluated) {
  if (task_.fewshot.count == 0) return {};
  const Document* excluded = same_split_ ? &evaluated : nullptr;
  if (task_.fewshot.sampler == FewShot::Sampler::random) return draw_random(excluded);
  std::vector<const Document*> first;
  for (const Document& document : pool_)
    if (static_cast<std::int64_t>(first.size()) < task_.fewshot.count && !(excluded && document.row == excluded->row))
      first.push_back(&document);
  return first;
}

std::vector<const Document*> FewShotSampler::draw_random(const Document* excluded) {
  const auto count = static_cast<std::uint32_t>(task_.fewshot.count);
  std::vector<const Document*> drawn;
  for (std::uint32_t i : random_.sample(static_cast<std::uint32_t>(pool_.size()), count + (excluded ? 1 : 0)))
    if (!(excluded && pool_[i].row == excluded->row) && drawn.size() < count) drawn.push_back(&pool_[i]);
  if (drawn.size() == count) return drawn;
  std::vector<const Document*> others;  // copies of the document were drawn too: once more, without any of them
  for (const Document& document : pool_)
    if (!(document.row == excluded->row)) others.push_back(&document);
  if (others.size() < count)
    throw InputError(task_.file + ": task " + task_.name + ": too few rows differ from " + excluded->where() +
                     " to draw examples");
  drawn.clear();
  for (std::uint32_t i : random_.sample(static_cast<std::uint32_t>(others.size()), count)) drawn.push_back(others[i]);
  return drawn;
}

namespace {

/// Takes the images' marks out of a question.
std::vector<PlacedImage> placed_in(std::string& question, const Document& document) {
  if (!document.images) return {};
  return take_marks(question, *document.images, document.where());
}

}  // namespace

Messages assemble_messages(const TaskTemplates& task, const TaskType& type, const std::string& system,
                           const std::vector<const Document*>& examples, const Document& document,
                           std::string question) {
  Messages messages;
  const Task& spec = *task.task;
  const std::string first = delimited(system, spec.description, spec.fewshot.delimiter);
  if (!first.empty()) messages.push_back({Message::Role::system, first});
  for (const Document* example : examples) {
    std::string shown = type.example_question(task, *example);
    std::vector<PlacedImage> images = placed_in(shown, *example);
    add_example(messages, shown, type.example_answer(task, *example), task.gen_prefix->render(*example),
                spec.target_delimiter, spec.fewshot.delimiter, std::move(images));
  }
  const bool in_context = !task.contexts.empty();
  std::vector<PlacedImage> images = placed_in(question, document);
  add_question(messages, std::move(question), task.gen_prefix->render(document),
               in_context ? "" : spec.target_delimiter, std::move(images));
  return messages;
}

}  // namespace proctor
