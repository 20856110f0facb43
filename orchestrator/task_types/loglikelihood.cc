// Loglikelihood: how likely the target is after the prompt (LAMBADA).
#include "orchestrator/cpython/python_text.h"
#include "orchestrator/task_types/task_type.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

class LoglikelihoodTask final : public TaskType {
 public:
  std::vector<RequestType> request_types() const override { return {RequestType::loglikelihood}; }
  std::vector<std::string> default_metrics() const override { return {"perplexity", "acc"}; }
  std::vector<std::string> metrics() const override { return {"perplexity", "acc"}; }
  std::string example_answer(const TaskTemplates& task, const Document& document) const override {
    return target(task, document);
  }

  std::vector<Request> requests(const TaskTemplates& task, const Document& document,
                                const Prompt& prompt) const override {
    const std::string text = target(task, document);
    if (text.empty())
      throw InputError(document.where() + ": the target is empty, so there is nothing to score (task " +
                       task.task->name + ")");
    return {{with_end(prompt.contexts.at(0), text), Loglikelihood{task.task->on_long}}};
  }
  MetricValues score(const TaskTemplates& task, const Document&, std::span<const Response> responses,
                     const FilterPipeline&) const override {
    const auto& answer = std::get<LoglikelihoodAnswer>(responses[0].answer);
    MetricValues values;
    if (wants(*task.task, "perplexity")) values["perplexity"] = {answer.loglikelihood};
    if (wants(*task.task, "acc")) values["acc"] = {answer.is_greedy ? 1.0 : 0.0};
    return values;
  }
  std::string target(const TaskTemplates& task, const Document& document) const override {
    return render_list(task.target, document).at(0);
  }
};

}  // namespace

const TaskType& loglikelihood() {
  static const LoglikelihoodTask type;
  return type;
}

}  // namespace proctor
