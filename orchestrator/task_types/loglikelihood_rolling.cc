// Rolling loglikelihood: how likely a whole text is, in windows of the model's length (perplexity).
#include "orchestrator/cpython/python_text.h"
#include "orchestrator/task_types/task_type.h"

namespace proctor {
namespace {

class LoglikelihoodRollingTask final : public TaskType {
 public:
  std::vector<RequestType> request_types() const override { return {RequestType::loglikelihood_rolling}; }
  std::vector<std::string> default_metrics() const override { return metrics(); }
  std::vector<std::string> metrics() const override { return {"word_perplexity", "byte_perplexity", "bits_per_byte"}; }
  std::string question(const TaskTemplates&, const Document&) const override { return ""; }
  std::string example_answer(const TaskTemplates&, const Document&) const override { return ""; }

  std::vector<Request> requests(const TaskTemplates& task, const Document& document, const Prompt&) const override {
    return {{{task.text->render(document)}, LoglikelihoodRolling{}}};
  }
  MetricValues score(const TaskTemplates& task, const Document& document, std::span<const Response> responses,
                     const FilterPipeline&) const override {
    const std::string text = task.text->render(document);
    const double sum = std::get<RollingAnswer>(responses[0].answer).loglikelihood;
    MetricValues values;
    if (wants(*task.task, "word_perplexity"))
      values["word_perplexity"] = {sum, static_cast<double>(python::count_words(text))};
    for (const char* name : {"byte_perplexity", "bits_per_byte"})
      if (wants(*task.task, name)) values[name] = {sum, static_cast<double>(text.size())};
    return values;
  }
  std::string target(const TaskTemplates& task, const Document& document) const override {
    return task.text->render(document);
  }
};

}  // namespace

const TaskType& loglikelihood_rolling() {
  static const LoglikelihoodRollingTask type;
  return type;
}

}  // namespace proctor
