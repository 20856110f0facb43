// Compress: passages and a question a row, shortened by a module to what the question needs.
#include "orchestrator/cpython/python_text.h"
#include "orchestrator/task_types/task_type.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

class CompressTask final : public TaskType {
 public:
  std::vector<RequestType> request_types() const override { return {RequestType::compress}; }
  std::vector<std::string> default_metrics() const override { return {"ratio"}; }
  std::vector<std::string> metrics() const override { return {"ratio", "kept_tokens"}; }
  std::string question(const TaskTemplates& task, const Document& document) const override {
    return task.question->render(document);
  }
  std::string example_answer(const TaskTemplates&, const Document&) const override { return ""; }
  std::string target(const TaskTemplates&, const Document&) const override { return ""; }

  /// Parts: the passages in their order, then the question.
  std::vector<Request> requests(const TaskTemplates& task, const Document& document,
                                const Prompt& prompt) const override {
    const std::string& context = text_of(prompt.contexts.at(0).at(0));
    std::vector<Part> parts;
    for (std::string& passage : render_list(task.contexts, document)) parts.emplace_back(std::move(passage));
    if (context.empty()) throw InputError(document.where() + ": the question is empty (task " + task.task->name + ")");
    parts.emplace_back(context);
    return {{std::move(parts), Compress{task.task->target_tokens}}};
  }

  /// ratio: tokens of the passages before, over those kept; of the module's own tokenizer.
  MetricValues score(const TaskTemplates& task, const Document&, std::span<const Response> responses,
                     const FilterPipeline&) const override {
    const auto& answer = std::get<CompressAnswer>(responses[0].answer);
    const auto kept = static_cast<double>(answer.kept), before = static_cast<double>(answer.before);
    MetricValues values;
    if (wants(*task.task, "ratio")) values["ratio"].value = before / std::max(1.0, kept);
    if (wants(*task.task, "kept_tokens")) values["kept_tokens"].value = kept;
    return values;
  }
};

}  // namespace

const TaskType& compress() {
  static const CompressTask type;
  return type;
}

}  // namespace proctor
