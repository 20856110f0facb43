// Generation: text up to a stop string, filtered and compared with one or several accepted texts.
#include <algorithm>

#include "orchestrator/cpython/python_text.h"
#include "orchestrator/metrics/text_metrics.h"
#include "orchestrator/task_types/generation.h"

namespace proctor {
namespace {

class GenerateUntil final : public TaskType {
 public:
  std::vector<RequestType> request_types() const override { return {RequestType::generate_until}; }
  std::vector<std::string> default_metrics() const override { return {"exact_match"}; }
  std::vector<std::string> metrics() const override { return {"exact_match", "token_f1"}; }
  std::string example_answer(const TaskTemplates& task, const Document& document) const override {
    return render_list(task.target, document).at(0);
  }

  std::vector<Request> requests(const TaskTemplates& task, const Document& document,
                                const Prompt& prompt) const override {
    render_list(task.target, document);
    return {static_cast<std::size_t>(task.task->generation.repeats),
            Request{{prompt.contexts.at(0)}, generation_of(*task.task)}};
  }
  MetricValues score(const TaskTemplates& task, const Document& document, std::span<const Response> responses,
                     const FilterPipeline& filter) const override {
    std::vector<std::string> texts;
    for (const Response& response : responses)
      texts.push_back(answer_proper(std::get<GenerateAnswer>(response.answer)));
    const std::vector<std::string> filtered = apply_filter(filter, texts),
                                   accepted = render_list(task.target, document);
    MetricValues values;
    for (const Metric& metric : task.task->metrics) {
      double best = 0;
      for (const std::string& reference : accepted)
        best = std::max(best, metric.name == "exact_match" ? exact_match(filtered.at(0), reference, metric.options)
                                                           : token_f1(filtered.at(0), reference));
      values[metric.name] = {best};
    }
    return values;
  }
  std::string target(const TaskTemplates& task, const Document& document) const override {
    if (task.target.size() == 1) return python::str(task.target[0].value(document));
    return python::repr(nlohmann::ordered_json(render_list(task.target, document)));
  }
};

}  // namespace

const TaskType& generate_until() {
  static const GenerateUntil type;
  return type;
}

}  // namespace proctor
